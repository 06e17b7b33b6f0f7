// Non-linearities: elementwise, gated, and softmax.
#pragma once

#include <sfumato/backend/kernels.hpp>
#include <sfumato/ops/operands.hpp>

#include <cmath>
#include <concepts>
#include <ratio>
#include <tuple>

SFUMATO_BEGIN
namespace ops {
namespace name {
struct activation;
struct swiglu;
struct softmax;
}  // namespace name

/// An elementwise function of your own, with its derivative: an empty struct with
/// `template <class T> static SFUMATO_HD T value(T x)` and `derivative(T x)`, for T in {float, double}.
template <class F>
concept Pointwise = requires(float x, double y) {
  { F::value(x) } -> std::same_as<float>;
  { F::derivative(x) } -> std::same_as<float>;
  { F::value(y) } -> std::same_as<double>;
  { F::derivative(y) } -> std::same_as<double>;
};

/// |x|; its derivative at 0 is taken for 0.
struct Abs {
  template <class T> static SFUMATO_HD T value(T x) { return x < 0 ? -x : x; }
  template <class T> static SFUMATO_HD T derivative(T x) { return x < 0 ? T(-1) : x > 0 ? T(1) : T(0); }
};
/// x, or `Slope` x, a std::ratio, below 0.
template <class Slope = std::ratio<2, 10>> struct LeakyReLU {
  template <class T> static SFUMATO_HD T value(T x) { return x < 0 ? T(slope) * x : x; }
  template <class T> static SFUMATO_HD T derivative(T x) { return x < 0 ? T(slope) : T(1); }

 private:
  static constexpr double slope = double(Slope::num) / double(Slope::den);
};
/// 1 / x.
struct Reciprocal {
  template <class T> static SFUMATO_HD T value(T x) { return 1 / x; }
  template <class T> static SFUMATO_HD T derivative(T x) { return -1 / (x * x); }
};
/// max(0, 1 + Sign x); its derivative where that is 0 is taken for 0.
template <int Sign> struct Hinge {
  template <class T> static SFUMATO_HD T value(T x) { return 1 + Sign * x <= 0 ? T(0) : 1 + Sign * x; }  // what is no number stays none
  template <class T> static SFUMATO_HD T derivative(T x) { return 1 + Sign * x > 0 ? T(Sign) : T(0); }
};
/// x, but not below Low nor above High; its derivative beyond is 0.
template <int Low, int High> struct Clamp {
  template <class T> static SFUMATO_HD T value(T x) { return x < Low ? T(Low) : x > High ? T(High) : x; }
  template <class T> static SFUMATO_HD T derivative(T x) { return x < Low || x > High ? T(0) : T(1); }
};
/// exp(x / 2): the deviation, where x is the logarithm of a variance.
struct HalfExp {
  template <class T> static SFUMATO_HD T value(T x) { return std::exp(x / 2); }
  template <class T> static SFUMATO_HD T derivative(T x) { return std::exp(x / 2) / 2; }
};
/// exp(x) - 1 - x: twice what a variance of logarithm x adds to the Kullback-Leibler divergence from N(0, 1).
struct ExpExcess {
  template <class T> static SFUMATO_HD T value(T x) { return std::expm1(x) - x; }
  template <class T> static SFUMATO_HD T derivative(T x) { return std::expm1(x); }
};
/// A value in [-1, 1] as an image of 8 bits has it; others are clamped. Its derivative is 0.
struct EightBits {
  template <class T> static SFUMATO_HD T value(T x) {
    const T within = x < -1 ? T(-1) : x > 1 ? T(1) : x;
    return std::floor((within + 1) * T(127.5) + T(0.5)) / T(127.5) - 1;
  }
  template <class T> static SFUMATO_HD T derivative(T) { return T(0); }
};

namespace detail {
template <class F, class E> struct PointwiseForward {
  const E* x;
  E* y;
  SFUMATO_HD void operator()(Index i) const { y[i] = static_cast<E>(F::value(static_cast<compute_t<E>>(x[i]))); }
};
template <class F, class E> struct PointwiseBackward {
  const E *d_y, *x;
  E* d_x;
  Index accumulate;
  SFUMATO_HD void operator()(Index i) const {
    using C = compute_t<E>;
    const C d = static_cast<C>(d_y[i]) * F::derivative(static_cast<C>(x[i]));
    d_x[i] = static_cast<E>(accumulate != 0 ? static_cast<C>(d_x[i]) + d : d);
  }
};
// The two kernels of either kind of activation.
template <class Ctx, class E> void activate(Ctx& ctx, Activation act, Index n, const E* x, E* y) {
  kernels<Ctx>::activation(ctx.device(), act, n, x, y);
}
template <class Ctx, Pointwise F, class E> void activate(Ctx& ctx, F, Index n, const E* x, E* y) {
  kernels<Ctx>::for_each(ctx.device(), n, n, PointwiseForward<F, E>{x, y});
}
template <class Ctx, class E> void activate_backward(Ctx& ctx, Activation act, Index n, const E* d_y, const E* x, E* d_x, bool accumulate) {
  kernels<Ctx>::activation_backward(ctx.device(), act, n, d_y, x, d_x, accumulate);
}
template <class Ctx, Pointwise F, class E> void activate_backward(Ctx& ctx, F, Index n, const E* d_y, const E* x, E* d_x, bool accumulate) {
  kernels<Ctx>::for_each(ctx.device(), n, n, PointwiseBackward<F, E>{d_y, x, d_x, accumulate});
}
}  // namespace detail

/// The loops that `F` needs, for each type of element: for who must name them, such as backend::cuda::instantiate_loops.
template <Pointwise F>
using PointwiseLoops = std::tuple<detail::PointwiseForward<F, float>, detail::PointwiseBackward<F, float>, detail::PointwiseForward<F, double>,
                                  detail::PointwiseBackward<F, double>, detail::PointwiseForward<F, bf16>, detail::PointwiseBackward<F, bf16>>;

/// y = act(x), elementwise; `act` is one of the backends' own (`Activation::silu`) or a `Pointwise` function.
template <class Ctx, AnyValue X, class Act> constexpr auto activation(Ctx& ctx, const X& x, Act act) {
  require_operands<name::activation, Ctx, X>();
  require<rule::IsActivationFunction<Act, std::is_same_v<Act, Activation> || Pointwise<Act>>>();
  auto y = ctx.template make<typename X::shape>(x.batch);
  if constexpr (Ctx::counting) {
    ctx.save(x);
  } else {
    detail::activate(ctx, act, x.size(), ctx.data(x), ctx.mutable_data(y));
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x), [x, act](Ctx& c, const auto* d_y) {
        const auto [d_x, accumulate] = c.gradient(x);
        detail::activate_backward(c, act, x.size(), d_y, c.data(x), d_x, accumulate);
      });
  }
  return y;
}

template <class Ctx, AnyValue X> constexpr auto silu(Ctx& ctx, const X& x) { return activation(ctx, x, Activation::silu); }
template <class Ctx, AnyValue X> constexpr auto relu(Ctx& ctx, const X& x) { return activation(ctx, x, Activation::relu); }
template <class Ctx, AnyValue X> constexpr auto gelu(Ctx& ctx, const X& x) { return activation(ctx, x, Activation::gelu_erf); }

/// y = silu(gate) * value for x = [gate | value] (Shazeer 2020). x: (..., 2 hidden); y: (..., hidden).
template <class Ctx, AnyValue X> constexpr auto swiglu(Ctx& ctx, const X& x) {
  constexpr int width = width_of<typename X::shape>;
  require_operands<name::swiglu, Ctx, X>();
  require<rule::PackedWidth<name::swiglu, width, 2>>();
  auto y = ctx.template make<with_width<typename X::shape, width / 2>>(x.batch);
  if constexpr (Ctx::counting) {
    ctx.save(x);
  } else {
    kernels<Ctx>::swiglu(ctx.device(), rows_of(x), Index{width / 2}, ctx.data(x), ctx.mutable_data(y));
    if constexpr (Ctx::recording)
      ctx.record(y, ctx.flows(x), [x](Ctx& c, const auto* d_y) {
        const auto [d_x, accumulate] = c.gradient(x);
        kernels<Ctx>::swiglu_backward(c.device(), rows_of(x), Index{width / 2}, d_y, c.data(x), d_x, accumulate);
      });
  }
  return y;
}

/// Softmax over the last axis.
template <class Ctx, AnyValue X> constexpr auto softmax(Ctx& ctx, const X& x) {
  constexpr int width = width_of<typename X::shape>;
  require_operands<name::softmax, Ctx, X>();
  require<rule::StaticWidth<name::softmax, width_of<typename X::shape>>>();
  auto y = ctx.template make<typename X::shape>(x.batch);
  if constexpr (Ctx::counting) {
    ctx.save(y);
  } else {
    kernels<Ctx>::softmax(ctx.device(), rows_of(x), Index{width}, ctx.data(x), ctx.mutable_data(y));
    if constexpr (Ctx::recording) {
      const auto kept = y;  // without a slot: its data alone is needed, and none of x's
      ctx.record(y, ctx.flows(x), [slot = x.handle.slot, kept](Ctx& c, const auto* d_y) {
        const auto [d_x, accumulate] = c.gradient(slot);
        kernels<Ctx>::softmax_backward(c.device(), rows_of(kept), Index{width}, d_y, c.data(kept), d_x, accumulate);
      });
    }
  }
  return y;
}

}  // namespace ops
SFUMATO_END
