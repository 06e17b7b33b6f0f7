// Every kernel of the contract, named once for each type of element: for who must have them all.
#pragma once

#include <sfumato/backend/cuda/kernels.hpp>

#include <tuple>
#include <type_traits>

SFUMATO_BEGIN
namespace backend::cuda {

/// To instantiate it is to instantiate all kernels of elements T.
template <class Api, class T> void instantiate_kernels() {
  using K = Kernels<BasicCuda<Api>>;
  [[maybe_unused]] const auto keep = [](auto*...) {};
#define SFUMATO_KEEP(kernel) keep(&K::template kernel<T, Api>);
  SFUMATO_KEEP(fill)
  SFUMATO_KEEP(squared_norm)
  SFUMATO_KEEP(matmul)
  SFUMATO_KEEP(column_sum)
  SFUMATO_KEEP(qk_norm_rotary)
  SFUMATO_KEEP(qk_norm_rotary_backward)
  SFUMATO_KEEP(attention)
  SFUMATO_KEEP(attention_backward)
  SFUMATO_KEEP(swiglu)
  SFUMATO_KEEP(swiglu_backward)
  SFUMATO_KEEP(activation)
  SFUMATO_KEEP(activation_backward)
  SFUMATO_KEEP(softmax)
  SFUMATO_KEEP(softmax_backward)
  SFUMATO_KEEP(cross_entropy)
  SFUMATO_KEEP(cross_entropy_backward)
  SFUMATO_KEEP(embedding)
  SFUMATO_KEEP(embedding_backward)
  SFUMATO_KEEP(dropout)
  SFUMATO_KEEP(weighted_mse)
  SFUMATO_KEEP(weighted_mse_backward)
  SFUMATO_KEEP(linear_combination)
  SFUMATO_KEEP(multiply)
  SFUMATO_KEEP(strided_copy)
  SFUMATO_KEEP(normal)
  SFUMATO_KEEP(adamw)
#undef SFUMATO_KEEP
  const auto keep_with = [&]<class X>(std::type_identity<X>) {  // the residual stream's element
    keep(&K::template norm<X, T, Api>, &K::template norm_backward<X, T, Api>, &K::template gated_residual<X, T, Api>,
         &K::template gated_residual_backward<X, T, Api>);
  };
  keep_with(std::type_identity<T>{});
  keep_with(std::type_identity<compute_t<T>>{});
  keep(&K::template convert<T, T, Api>);
  keep(&K::template convert<T, compute_t<T>, Api>);
  keep(&K::template convert<compute_t<T>, T, Api>);
}

/// The same for a std::tuple of function objects that ops pass to `for_each`.
template <class Api, class Loops> void instantiate_loops() {
  []<class... F>(std::type_identity<std::tuple<F...>>) {
    [[maybe_unused]] const auto keep = [](auto*...) {};
    keep(&Kernels<BasicCuda<Api>>::template for_each<F, Api>...);
  }(std::type_identity<Loops>{});
}

}  // namespace backend::cuda
SFUMATO_END
