// The CUDA runtime in host memory: kernels are played on the CPU, and what should fail does.
//
// A file that launches kernels of its own includes "cuda/play.hpp"; the library's are compiled once, in kernels.cpp.
#pragma once

#include <sfumato/backend/cuda/kernels.hpp>

#include <Eigen/Core>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace emulated {

using namespace sfumato;
using backend::cuda::Grid;
using backend::cuda::Status;

/// In which order blocks and threads are played; the results must not depend on it.
inline bool& backwards() {
  static bool reversed = false;
  return reversed;
}

/// The kernels that the program has, and those that were played.
inline std::set<std::string>& kernels() {
  static std::set<std::string> names;
  return names;
}
inline std::set<std::string>& played() {
  static std::set<std::string> names;
  return names;
}
// Defined in play.hpp.
template <class Kernel> __attribute__((noinline, used)) void play(const Grid& grid, const Kernel& kernel);
template <class Step> __attribute__((noinline, used)) void run_thrust(const Step& step);

/// The CUDA runtime as BasicCuda wants it, in host memory. What `fail_next` names fails once, with those words.
class Api {
 public:
  struct Event {};
  using Graph = std::vector<std::function<Status()>>;

  explicit Api(const backend::CudaOptions&) {}

  Status make_current() { return fails("make_current"); }
  Status allocate(void** memory, std::size_t bytes) {
    if (const Status planted = fails("allocate")) return planted;
    if (held_ + bytes > total_bytes) return "out of memory";
    *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    std::memset(*memory, 0xff, bytes);
    sizes_[*memory] = bytes;
    held_ += bytes;
    return nullptr;
  }
  Status free(void* memory) {
    held_ -= sizes_[memory];
    sizes_.erase(memory);
    std::free(memory);
    return nullptr;
  }
  Status allocate_pinned(void** memory, std::size_t bytes) {
    if (const Status planted = fails("allocate_pinned")) return planted;
    return (*memory = std::malloc(bytes)) ? nullptr : "out of memory";
  }
  Status free_pinned(void* memory) { std::free(memory); return nullptr; }
  Status memory(std::size_t& available, std::size_t& total) {
    available = total_bytes - held_;
    total = total_bytes;
    return nullptr;
  }
  /// Copies of that lane are done as late as they may be.
  Status copy_to_device(void* to, const void* from, std::size_t bytes, backend::cuda::Lane lane) {
    copies_.push_back([=] { std::memcpy(to, from, bytes); });
    if (lane == backend::cuda::Lane::kernels) finish_copies();
    return fails("copy_to_device");
  }
  Status copy_to_host(void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); return fails("copy_to_host"); }
  Status synchronize() {
    finish_copies();
    return fails("synchronize");
  }
  Status create(Event&) { return nullptr; }
  Status record(Event&, backend::cuda::Lane) { return fails("record"); }
  Status wait_for_copies() {
    finish_copies();
    return fails("wait_for_copies");
  }
  Status wait(Event&) {
    finish_copies();
    return fails("wait");
  }

  template <class Kernel> Status launch(const Grid& grid, const Kernel& kernel) {
    if (const Status planted = fails(Kernel::name)) return planted;
    if (grid.x > 2'147'483'647 || grid.y > 65535 || grid.z > 65535) return "invalid configuration argument";
    if (grid.shared_bytes > 99 * 1024) return "invalid argument";  // what every architecture since 8.0 has
    return now_or_captured([grid, kernel]() -> Status { play(grid, kernel); return nullptr; });
  }
  template <class Step> Status thrust(const Step& step) {
    if (const Status planted = fails("thrust")) return planted;
    return now_or_captured([step]() -> Status { run_thrust(step); return nullptr; });
  }
  template <class Kernel> Status prepare(const Grid&) { return nullptr; }
  template <class T> Status plan(const backend::cuda::Product<T>& p) {
    return p.bias == nullptr && p.activation == static_cast<Index>(Activation::none) ? nullptr : fails("epilogue");
  }
  Status zero(void* to, std::size_t bytes) {
    return now_or_captured([=]() -> Status { std::memset(to, 0, bytes); return nullptr; });
  }
  Status copy_on_device(void* to, const void* from, std::size_t bytes) {
    return now_or_captured([=]() -> Status { std::memcpy(to, from, bytes); return nullptr; });
  }
  /// The product by Eigen, with the epilogues that cuBLASLt has.
  template <class T> Status matmul(const backend::cuda::Product<T>& p) {
    if (const Status planted = fails("matmul")) return planted;
    check(backend::cuda::has_epilogue<T>(p.bias != nullptr, static_cast<Activation>(p.activation)), "emulated", "cuBLASLt has no such epilogue");
    return now_or_captured([p]() -> Status { multiply(p); return nullptr; });
  }
  Status begin_capture() {
    if (const Status planted = fails("begin_capture")) return planted;
    capturing_ = true;
    captured_.clear();
    return nullptr;
  }
  void abandon_capture() { capturing_ = false; }
  Status end_capture(Graph& graph) {
    capturing_ = false;
    graph = captured_;
    return fails("end_capture");
  }
  Status launch(Graph& graph) {
    if (const Status planted = fails("graph")) return planted;
    for (const auto& step : graph)
      if (const Status status = step()) return status;
    return nullptr;
  }
  void destroy(Graph&) {}

  /// ... after it went well `times` times.
  void fail_next(const char* what, Status words, int times = 0) { planted_[what] = {words, times}; }

  static constexpr std::size_t total_bytes = std::size_t{1} << 30, piece_bytes = std::size_t{1} << 20;

 private:
  template <class F> Status now_or_captured(const F& f) {
    if (!capturing_) return f();
    captured_.push_back(f);
    return nullptr;
  }
  template <class T> static void multiply(const backend::cuda::Product<T>& p) {
    using S = compute_t<T>;
    using Matrix = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const auto read = [](const backend::cuda::Operand<T>& x, Index matrix, Index rows, Index columns) {
      Matrix out(rows, columns);
      for (Index i = 0; i < rows; ++i)
        for (Index j = 0; j < columns; ++j)
          out(i, j) = static_cast<S>(x.data[matrix * x.batch + (x.transposed ? j * x.leading + i : i * x.leading + j)]);
      return out;
    };
    for (Index matrix = 0; matrix < p.count; ++matrix) {
      const Matrix product = read(p.a, matrix, p.m, p.k) * read(p.b, matrix, p.k, p.n);
      for (Index i = 0; i < p.m; ++i)
        for (Index j = 0; j < p.n; ++j) {
          T& c = p.c[matrix * p.c_batch + i * p.c_row + j];
          const S sum = product(i, j) + (p.bias != nullptr ? static_cast<S>(p.bias[j]) : S(0));
          c = static_cast<T>(p.accumulate ? static_cast<S>(c) + sum : backend::activate(static_cast<Activation>(p.activation), sum));
        }
    }
  }
  Status fails(const std::string& what) {
    const auto planted = planted_.find(what);
    if (planted == planted_.end()) return nullptr;
    if (planted->second.second-- > 0) return nullptr;
    const Status words = planted->second.first;
    planted_.erase(planted);
    return words;
  }
  void finish_copies() {
    for (const auto& copy : copies_) copy();
    copies_.clear();
  }
  std::map<std::string, std::pair<Status, int>> planted_;
  std::vector<std::function<void()>> copies_;  ///< begun on their own lane
  std::map<void*, std::size_t> sizes_;
  std::size_t held_ = 0;
  bool capturing_ = false;
  Graph captured_;
};

}  // namespace emulated
