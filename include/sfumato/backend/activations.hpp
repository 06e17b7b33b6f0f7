// The elementwise non-linearities and their derivatives, for all backends; S is float or double.
#pragma once

#include <sfumato/backend/kernels.hpp>

#include <cmath>

SFUMATO_BEGIN
namespace backend {

namespace detail {
inline constexpr double gelu_tanh_root = 0.79788456080286535588;  // sqrt(2 / pi)
inline constexpr double gelu_tanh_cubic = 0.044715;
}  // namespace detail

template <class S> SFUMATO_HD S sigmoid(S x) { return 1 / (1 + std::exp(-x)); }
template <class S> SFUMATO_HD S silu(S x) { return x * sigmoid(x); }
/// `s`: the sigmoid of x.
template <class S> SFUMATO_HD S silu_derivative(S x, S s) { return s * (1 + x * (1 - s)); }
template <class S> SFUMATO_HD S silu_derivative(S x) { return silu_derivative(x, sigmoid(x)); }

template <class S> SFUMATO_HD S activate(Activation activation, S x) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x < 0 ? 0 : x;
    case Activation::silu:
      return silu(x);
    case Activation::gelu_erf:
      return S(0.5) * x * (1 + std::erf(x * S(0.70710678118654752440)));
    case Activation::gelu_tanh:
      return S(0.5) * x * (1 + std::tanh(S(detail::gelu_tanh_root) * (x + S(detail::gelu_tanh_cubic) * x * x * x)));
  }
  return x;
}

template <class S> SFUMATO_HD S activate_derivative(Activation activation, S x) {
  switch (activation) {
    case Activation::none:
      return 1;
    case Activation::relu:
      return x > 0 ? 1 : 0;
    case Activation::silu:
      return silu_derivative(x);
    case Activation::gelu_erf:
      return S(0.5) * (1 + std::erf(x * S(0.70710678118654752440))) +
             S(0.5 * detail::gelu_tanh_root) * x * std::exp(S(-0.5) * x * x);
    case Activation::gelu_tanh: {
      const S t = std::tanh(S(detail::gelu_tanh_root) * (x + S(detail::gelu_tanh_cubic) * x * x * x));
      return S(0.5) * (1 + t) +
             S(0.5) * x * (1 - t * t) * S(detail::gelu_tanh_root) * (1 + S(3 * detail::gelu_tanh_cubic) * x * x);
    }
  }
  return 1;
}

}  // namespace backend
SFUMATO_END
