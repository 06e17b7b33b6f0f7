// What waits to be launched: a list that is run, or replayed as the graph that it was captured in.
#pragma once

#include <sfumato/backend/cuda/status.hpp>
#include <sfumato/backend/cuda/thread.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

SFUMATO_BEGIN
namespace backend::cuda {

/// A kernel with its arguments and its blocks, as a command: `name`, `run(api)`, `describe()`, and where there is something to be done
/// before a capture `prepare(api)`.
template <class Kernel> struct Launch {
  static constexpr const char* name = Kernel::name;
  Grid grid;
  Kernel kernel;

  template <class Api> Status prepare(Api& api) const { return api.template prepare<Kernel>(grid); }
  template <class Api> Status run(Api& api) const { return api.launch(grid, kernel); }
  std::string describe() const {
    return text(grid.x, " x ", grid.y, " x ", grid.z, " blocks of ", Kernel::threads, " threads, ", grid.shared_bytes, " bytes of shared memory");
  }
};

/// A copy within the device's memory.
struct Copy {
  static constexpr const char* name = "copy";
  void* to;
  const void* from;
  Index bytes;

  template <class Api> Status run(Api& api) const { return api.copy_on_device(to, from, static_cast<std::size_t>(bytes)); }
  std::string describe() const { return text(bytes, " bytes"); }
};

/// Bytes of zero.
struct Zero {
  static constexpr const char* name = "zero";
  void* to;
  Index bytes;

  template <class Api> Status run(Api& api) const { return api.zero(to, static_cast<std::size_t>(bytes)); }
  std::string describe() const { return text(bytes, " bytes"); }
};

/// Commands are compared by their bytes, so that those of a step are found to be those of the step before: what differs from
/// step to step must be staged, not an argument.
template <class Api> class Commands {
 public:
  explicit Commands(Api& api) : api_(&api) {}
  Commands(const Commands&) = delete;
  Commands& operator=(const Commands&) = delete;
  ~Commands() { forget(); }

  template <class Command> void push(const Command& command) {
    static_assert(std::is_trivially_copyable_v<Command> && alignof(Command) <= alignment);
    const std::size_t at = bytes_.size();
    bytes_.resize(at + (sizeof(Command) + alignment - 1) / alignment * alignment);
    new (bytes_.data() + at) Command(command);
    list_.push_back({&kind<Command>, at});
  }
  std::size_t size() const { return list_.size(); }
  void clear() {
    list_.clear();
    bytes_.clear();
  }
  /// Runs all that waits; with `graphs`, replays a list that was seen before. `whole`: all of it or, where it fails, nothing, also the
  /// first time. Throws Error("cuda-kernel"), the list forgotten.
  void flush(bool graphs, bool whole = false) {
    struct Clear {
      Commands& commands;
      ~Clear() { commands.clear(); }
    } clear_at_end{*this};
    if (list_.empty()) return;
    if (!graphs || (list_.size() < shortest_graph && !whole)) return run();
    if (known_.size() >= most_graphs) forget();
    Known& known = known_[hash()];
    if (known.list.empty()) {
      known.list = list_;
      known.bytes = bytes_;
      if (!whole) return run();
    }
    if (!(known.list == list_ && known.bytes == bytes_)) return run();  // another list of the same hash
    if (!known.graph && (known.refused || !capture(known))) {
      check(!whole, "cuda-kernel", "a list of ", list_.size(), " commands, from '", list_.front().kind->name, "' on, cannot be captured");
      known.refused = true;
      return run();
    }
    check_status(api_->launch(*known.graph), "cuda-kernel", "a graph of ", list_.size(), " commands from '", list_.front().kind->name, "' to '",
                 list_.back().kind->name, "'");
    ++replays_;
  }
  Index replays() const { return replays_; }                                                   ///< lists that ran as graphs
  Index launches() const { return launches_; }                                                 ///< commands that ran one by one

 private:
  static constexpr std::size_t alignment = alignof(std::max_align_t), shortest_graph = 8, most_graphs = 512;

  /// How to run and to name commands of one type.
  struct Kind {
    const char* name;
    Status (*prepare)(Api&, const void*);
    Status (*run)(Api&, const void*);
    std::string (*describe)(const void*);
  };
  template <class Command> static Status prepare([[maybe_unused]] Api& api, [[maybe_unused]] const void* command) {
    if constexpr (requires(const Command& c) { c.prepare(api); }) return static_cast<const Command*>(command)->prepare(api);
    else return nullptr;
  }
  template <class Command> static constexpr Kind kind{Command::name, &prepare<Command>, [](Api& api, const void* c) { return static_cast<const Command*>(c)->run(api); },
                                                      [](const void* c) { return static_cast<const Command*>(c)->describe(); }};
  struct Item {
    const Kind* kind;
    std::size_t at;
    bool operator==(const Item&) const = default;
  };
  struct Known {
    std::vector<Item> list;
    std::vector<std::byte> bytes;
    typename Api::Graph graph_storage{};
    typename Api::Graph* graph = nullptr;
    bool refused = false;  ///< to be captured: launched one by one
  };

  template <class Act> void each(const Act& act) {
    for (const Item& item : list_) {
      const void* const command = bytes_.data() + item.at;
      if (const Status status = act(*item.kind, command); status != nullptr)
        throw Error("cuda-kernel", text("'", item.kind->name, "' (", item.kind->describe(command), ") could not be launched: ", status));
    }
  }
  void run() {
    each([this](const Kind& what, const void* command) {
      ++launches_;
      return what.run(*api_, command);
    });
  }
  /// Whether the list could be captured, for example in a stream of the user's.
  bool capture(Known& known) {
    each([this](const Kind& what, const void* command) { return what.prepare(*api_, command); });  // nothing is loaded or planned in a capture
    if (api_->begin_capture() != nullptr) return false;
    try {
      run();
    } catch (...) {
      api_->abandon_capture();
      throw;
    }
    if (api_->end_capture(known.graph_storage) != nullptr) return false;
    known.graph = &known.graph_storage;
    return true;
  }
  void forget() {
    for (auto& [hash, known] : known_)
      if (known.graph) api_->destroy(*known.graph);
    known_.clear();
  }
  /// FNV-1a over words.
  std::uint64_t hash() const {
    std::uint64_t h = 0xcbf29ce484222325u;
    const auto mix = [&h](std::uint64_t word) { h = (h ^ word) * 0x100000001b3u ^ h >> 29; };
    for (const Item& item : list_) mix(reinterpret_cast<std::uintptr_t>(item.kind));
    for (std::size_t i = 0; i < bytes_.size(); i += sizeof(std::uint64_t)) {
      std::uint64_t word;
      std::memcpy(&word, bytes_.data() + i, sizeof word);
      mix(word);
    }
    return h;
  }

  Api* api_;
  std::vector<Item> list_;
  std::vector<std::byte> bytes_;
  std::unordered_map<std::uint64_t, Known> known_;
  Index replays_ = 0, launches_ = 0;
};

}  // namespace backend::cuda
SFUMATO_END
