// A backend around another, whose observer sees every kernel call: to count, to time, to trace or to check them.
#pragma once

#include <sfumato/backend/kernels.hpp>

#include <type_traits>

SFUMATO_BEGIN
namespace backend {

/// `Inner`'s kernels, with `observer.begin(kernel, arguments...)` called before each and, where there is one,
/// `observer.end(kernel, arguments...)` after it. `kernel` is the name in the contract of `Kernels`, the arguments are the
/// kernel's, less the backend.
template <class Inner, class Observer> struct Observed {
  static constexpr const char* name = "observed";
  static constexpr bool host_memory = sfumato::host_memory<Inner>, multiplies_dearly = sfumato::multiplies_dearly<Inner>;
  Inner inner{};
  Observer observer{};
};

}  // namespace backend

template <class Inner, class Observer> struct Kernels<backend::Observed<Inner, Observer>> {
  using B = backend::Observed<Inner, Observer>;

  template <class T> static T* allocate(B& b, Index n) {
    return observed(b, "allocate", [&] { return Kernels<Inner>::template allocate<T>(b.inner, n); }, n);
  }

  // `fill(b, ...)` is `Kernels<Inner>::fill(b.inner, ...)`, observed; and so on.
#define SFUMATO_OBSERVED(kernel)                                                                                         \
  template <class... A> static auto kernel(B& b, const A&... arguments) {                                                \
    return observed(b, #kernel, [&] { return Kernels<Inner>::kernel(b.inner, arguments...); }, arguments...);            \
  }
  SFUMATO_OBSERVED(deallocate)
  SFUMATO_OBSERVED(upload)
  SFUMATO_OBSERVED(download)
  SFUMATO_OBSERVED(fill)
  SFUMATO_OBSERVED(for_each)
  SFUMATO_OBSERVED(matmul)
  SFUMATO_OBSERVED(column_sum)
  SFUMATO_OBSERVED(norm)
  SFUMATO_OBSERVED(norm_backward)
  SFUMATO_OBSERVED(gated_residual)
  SFUMATO_OBSERVED(gated_residual_backward)
  SFUMATO_OBSERVED(qk_norm_rotary)
  SFUMATO_OBSERVED(qk_norm_rotary_backward)
  SFUMATO_OBSERVED(attention)
  SFUMATO_OBSERVED(attention_backward)
  SFUMATO_OBSERVED(swiglu)
  SFUMATO_OBSERVED(swiglu_backward)
  SFUMATO_OBSERVED(activation)
  SFUMATO_OBSERVED(activation_backward)
  SFUMATO_OBSERVED(softmax)
  SFUMATO_OBSERVED(softmax_backward)
  SFUMATO_OBSERVED(cross_entropy)
  SFUMATO_OBSERVED(cross_entropy_backward)
  SFUMATO_OBSERVED(embedding)
  SFUMATO_OBSERVED(embedding_backward)
  SFUMATO_OBSERVED(dropout)
  SFUMATO_OBSERVED(weighted_mse)
  SFUMATO_OBSERVED(weighted_mse_backward)
  SFUMATO_OBSERVED(linear_combination)
  SFUMATO_OBSERVED(multiply)
  SFUMATO_OBSERVED(strided_copy)
  SFUMATO_OBSERVED(convert)
  SFUMATO_OBSERVED(normal)
  SFUMATO_OBSERVED(adamw)
  SFUMATO_OBSERVED(squared_norm)
#undef SFUMATO_OBSERVED

 private:
  template <class Run, class... A> static auto observed(B& b, const char* kernel, const Run& run, const A&... arguments) {
    b.observer.begin(kernel, arguments...);
    const auto end = [&] {
      if constexpr (requires { b.observer.end(kernel, arguments...); }) b.observer.end(kernel, arguments...);
    };
    if constexpr (std::is_void_v<decltype(run())>) {
      run();
      end();
    } else {
      auto result = run();
      end();
      return result;
    }
  }
};

SFUMATO_END
