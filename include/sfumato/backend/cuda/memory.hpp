// Memory, and what Thrust does for us: filling, loops over elements, sums that the host waits for.
#pragma once

#include <sfumato/backend/cuda/device.hpp>

SFUMATO_BEGIN
namespace backend::cuda {

// Work that Thrust does, as commands: `Api::thrust(step)` calls step(execution policy). What they do is in thrust.hpp, for
// code that Thrust's headers compile in.

/// x = value.
template <class T> struct Fill {
  static constexpr const char* name = "fill";
  T* x;
  Index n;
  double value;

  template <class Policy> void operator()(const Policy& policy) const;
  template <class Api> Status run(Api& api) const { return api.thrust(*this); }
  std::string describe() const { return text(n, " elements"); }
};

/// f(i) for 0 <= i < n.
template <class F> struct ForEach {
  static constexpr const char* name = "for_each";
  Index n;
  F f;

  template <class Policy> void operator()(const Policy& policy) const;
  template <class Api> Status run(Api& api) const { return api.thrust(*this); }
  std::string describe() const { return text(n, " indices"); }
};

/// *sum = the sum of squares, on the host: not for lists.
template <class T> struct SquaredNorm {
  const T* x;
  Index n;
  double* sum;

  template <class Policy> void operator()(const Policy& policy) const;
};

struct MemoryKernels {
  template <class T, class Api> static T* allocate(BasicCuda<Api>& b, Index n) { return b.template allocate<T>(n); }
  template <class Api> static void deallocate(BasicCuda<Api>& b, void* memory) { b.deallocate(memory); }
  template <class T, class Api> static void upload(BasicCuda<Api>& b, T* dst, const T* host, Index n) {
    b.upload(dst, host, static_cast<std::size_t>(n) * sizeof(T));
  }
  template <class T, class Api> static void upload_ahead(BasicCuda<Api>& b, T* dst, const T* host, Index n) {
    b.upload_ahead(dst, host, static_cast<std::size_t>(n) * sizeof(T));
  }
  template <class T, class Api> static void download(BasicCuda<Api>& b, T* host, const T* src, Index n) {
    b.download(host, src, static_cast<std::size_t>(n) * sizeof(T));
  }
  template <class T, class Api> static void fill(BasicCuda<Api>& b, Index n, double value, T* x) {
    if (n <= 0) return;
    if (value == 0) b.submit(Zero{x, n * Index(sizeof(T))});
    else b.submit(Fill<T>{x, n, value});
  }
  /// Launches what is waiting; `whole`, with graphs: all of it or, where it fails, nothing. Throws Error("cuda-kernel").
  template <class Api> static void submit(BasicCuda<Api>& b, bool whole) { b.flush(whole); }
  /// In a C++ file it must be linked with a CUDA file that calls it with the same F.
  template <class F, class Api> static void for_each(BasicCuda<Api>& b, Index n, Index, const F& f) {
    if (n > 0) b.submit(ForEach<F>{n, f});
  }
  template <class T, class Api> static double squared_norm(BasicCuda<Api>& b, Index n, const T* x) {
    b.flush();
    double sum = 0;
    check_status(b.api().thrust(SquaredNorm<T>{x, n, &sum}), "cuda-kernel", "'squared_norm' of ", n, " elements, or a kernel before it");
    return sum;
  }
};

}  // namespace backend::cuda
SFUMATO_END
