// The GPU as an object: memory, what is waiting to be launched, and graphs of what was launched before.
//
// Kernels are not launched where they are called. They gather in a list, which is flushed where its end is needed: when the
// host wants a result, or gives data for the next evaluation of a model. A list seen before is replayed as one graph.
// `Api` is the CUDA runtime (api.hpp), or a stand-in of the tests that plays kernels on the CPU.
#pragma once

#include <sfumato/backend/cuda/arena.hpp>
#include <sfumato/backend/cuda/commands.hpp>
#include <sfumato/backend/cuda/staging.hpp>
#include <sfumato/backend/kernels.hpp>
#include <sfumato/base/error.hpp>

#include <utility>

SFUMATO_BEGIN
namespace backend {

/// How products of f32 operands are computed: in f32, or in TF32 (10 bits of mantissa, sums in f32).
enum class Tf32 { off, on };

/// Options of a CUDA backend.
struct CudaOptions {
  int device = 0;
  Tf32 tf32 = Tf32::off;
  bool graphs = true;             ///< replay lists of kernels that were seen before as graphs
  void* stream = nullptr;         ///< a cudaStream_t of yours to work in, which must outlive the backend; null: one of its own
  std::size_t planned_bytes = 0;  ///< what the design's budget foretells; reserved at once, and named if memory runs out
};

/// A CUDA device and one stream of it. One object serves one calling thread at a time; it must outlive its memory.
template <class Api> class BasicCuda {
 public:
  static constexpr const char* name = "cuda";

  /// Throws Error("cuda-device") where there is no such device, its driver is too old or this program has no code for it, and
  /// Error("out-of-memory") where the planned memory cannot be had.
  explicit BasicCuda(const CudaOptions& options = {})
      : options_(options), api_(options), arena_(api_, options.planned_bytes), staging_(api_), commands_(api_) {}
  BasicCuda(const BasicCuda&) = delete;
  BasicCuda& operator=(const BasicCuda&) = delete;
  ~BasicCuda() {
    commands_.clear();
    api_.synchronize();
  }

  const CudaOptions& options() const { return options_; }
  Api& api() { return api_; }
  const cuda::Arena<Api>& arena() const { return arena_; }
  const cuda::Commands<Api>& commands() const { return commands_; }

  /// Launches what is waiting, and waits until all of it is done. Throws Error("cuda-kernel").
  void synchronize() {
    flush();
    cuda::check_status(api_.synchronize(), "cuda-kernel", "waiting for the device");
  }

  // For the kernels of this backend:
  template <class T> T* allocate(Index n) {
    check(n >= 0 && n <= (Index{1} << 48) / Index(sizeof(T)), "out-of-memory", "cannot allocate ", n, " elements");
    return static_cast<T*>(arena_.allocate(static_cast<std::size_t>(n) * sizeof(T)));
  }
  /// What is still to run on the memory runs before anything that is put there later.
  void deallocate(void* memory) { arena_.deallocate(memory); }

  /// Room for `n` elements that the waiting kernels share one after the other.
  template <class T> T* scratch(Index n) { return static_cast<T*>(scratch_bytes(static_cast<std::size_t>(n) * sizeof(T))); }

  template <class Kernel> void launch(const cuda::Grid& grid, const Kernel& kernel) {
    if (grid.x > 0 && grid.y > 0 && grid.z > 0) submit(cuda::Launch<Kernel>{grid, kernel});
  }
  template <class Command> void submit(const Command& command) {
    if (commands_.size() >= most_commands && staging_.empty()) flush();  // what is staged lasts until the next one
    commands_.push(command);
  }
  /// Makes sure that `n` values of T can be staged without a flush between them.
  template <class T> void make_room(Index n) {
    const std::size_t bytes = static_cast<std::size_t>(n) * sizeof(T) + 2 * cuda::staging_alignment;
    if (staging_.fits(bytes) && commands_.size() < most_commands) return;
    flush();
    staging_.reserve(bytes);
  }
  /// A copy of host values on the device, for the kernels that are submitted before the next flush. There must be room.
  template <class T> const T* stage(const T* host, Index n) {
    return static_cast<const T*>(staging_.put(host, static_cast<std::size_t>(n) * sizeof(T)));
  }
  /// The host's memory is free when this returns. Small arrays go with the kernels that wait, and begin a new list where many
  /// do: what a model is given, before each evaluation, so that the evaluation is one graph.
  void upload(void* to, const void* host, std::size_t bytes) {
    if (bytes == 0) return;
    if (bytes > most_staged || commands_.size() >= fewest_commands) flush();
    if (bytes > most_staged) return staging_.upload(to, host, bytes, cuda::Lane::kernels);
    make_room<std::byte>(static_cast<Index>(bytes));
    submit(cuda::Copy{to, stage(static_cast<const std::byte*>(host), static_cast<Index>(bytes)), static_cast<Index>(bytes)});
  }
  /// The same beside the kernels that are running, none of which may use `to`; those that are flushed later wait for it.
  void upload_ahead(void* to, const void* host, std::size_t bytes) {
    flush();
    staging_.upload(to, host, bytes, cuda::Lane::copies);
    copies_ahead_ = true;
  }
  void download(void* host, const void* from, std::size_t bytes) {
    flush();
    cuda::check_status(api_.copy_to_host(host, from, bytes), "cuda-kernel", "a copy to the host, or a kernel before it");
  }
  void flush(bool whole = false) {
    cuda::check_status(api_.make_current(), "cuda-device", "device ", options_.device);
    if (std::exchange(copies_ahead_, false)) cuda::check_status(api_.wait_for_copies(), "cuda-kernel", "waiting for copies");
    staging_.send();
    commands_.flush(options_.graphs, whole);
  }

 private:
  static constexpr std::size_t most_commands = 4096, fewest_commands = 16, most_staged = std::size_t{1} << 16;

  void* scratch_bytes(std::size_t bytes) {
    if (bytes > scratch_size_) {
      void* const larger = arena_.allocate(bytes);
      arena_.deallocate(std::exchange(scratch_, larger));
      scratch_size_ = bytes;
    }
    return scratch_;
  }

  CudaOptions options_;
  Api api_;
  cuda::Arena<Api> arena_;
  cuda::Staging<Api> staging_;
  cuda::Commands<Api> commands_;
  void* scratch_ = nullptr;
  std::size_t scratch_size_ = 0;
  bool copies_ahead_ = false;
};

}  // namespace backend
SFUMATO_END
