// The elementwise CUDA kernels, played on the CPU, against the reference's loops: every element type, whole packs, tails and
// unaligned arrays; nothing outside of an array is touched.
#include "cuda/support.hpp"

using namespace cuda_test;

#define ELEMENTS float, double, bf16

TEST_CASE_TEMPLATE("activations, both ways", T, ELEMENTS) {
  compare<T, 2>(1003, [](auto k, auto& b, Index n, auto* x, auto* y) { k.activation(b, Activation::silu, n, in(x), y); });  // one row: its tail
  compare<T, 3>(9, [](auto k, auto& b, Index n, auto* x, auto* y, auto* z) { k.multiply(b, n, in(x), in(y), z, false); });
  for (const Activation kind : {Activation::none, Activation::relu, Activation::silu, Activation::gelu_erf, Activation::gelu_tanh}) {
    compare_sizes<T, 2>([&](auto k, auto& b, Index n, auto* x, auto* y) { k.activation(b, kind, n, in(x), y); });
    for (const bool add : {false, true})
      compare_sizes<T, 3>([&](auto k, auto& b, Index n, auto* x, auto* d_y, auto* d_x) { k.activation_backward(b, kind, n, in(d_y), in(x), d_x, add); });
  }
}

TEST_CASE_TEMPLATE("swiglu, both ways", T, ELEMENTS) {
  compare_sizes<T, 2>([](auto k, auto& b, Index n, auto* x, auto* y) { k.swiglu(b, Index{2}, n / 4, in(x), y); });
  for (const bool add : {false, true})
    compare_sizes<T, 3>([&](auto k, auto& b, Index n, auto* x, auto* d_y, auto* d_x) { k.swiglu_backward(b, Index{2}, n / 4, in(d_y), in(x), d_x, add); });
}

TEST_CASE_TEMPLATE("products and linear combinations", T, ELEMENTS) {
  const double alpha[] = {0.5, -2, 3, 0.25}, beta[] = {1, 0.5, -1, 2};
  for (const bool add : {false, true}) {
    compare_sizes<T, 3>([&](auto k, auto& b, Index n, auto* x, auto* y, auto* z) { k.multiply(b, n, in(x), in(y), z, add); });
    for (const Index batch : {1, 4}) {
      compare_sizes<T, 3>([&](auto k, auto& b, Index n, auto* x, auto* y, auto* z) { k.linear_combination(b, batch, n / batch, alpha, in(x), beta, in(y), z, add); });
      compare_sizes<T, 2>([&](auto k, auto& b, Index n, auto* x, auto* z) { k.linear_combination(b, batch, n / batch, alpha, in(x), nullptr, nullptr, z, add); });
    }
  }
}

TEST_CASE_TEMPLATE("random numbers are those of the CPU, wherever a stream is entered", T, ELEMENTS) {
  const Random random{5, Stream::noise, 3};
  for (const std::uint64_t first : {0u, 1u, 6u, 1000u}) {
    compare_sizes<T, 1>([&](auto k, auto& b, Index n, auto* x) { k.normal(b, random, first, n, 0.5, x); });
    for (const bool add : {false, true})
      compare_sizes<T, 2>([&](auto k, auto& b, Index n, auto* x, auto* y) { k.dropout(b, random, first, n, 0.25, in(x), y, add); });
  }
}

TEST_CASE_TEMPLATE("conversions, of arrays that are not aligned too", T, ELEMENTS) {
  for (const bool add : {false, true})
    compare_sizes<T, 2>([&](auto k, auto& b, Index n, auto* x, auto* y) { k.convert(b, n, in(x), y, add); });
  using Other = std::conditional_t<std::is_same_v<T, float>, bf16, compute_t<T>>;
  for (const Index offset : {0, 1}) {
    Device device;
    Guarded<T> x(device, numbers(40, 0), offset);
    Guarded<Other> y(device, numbers(40, 1), offset);
    CudaKernels::convert(device, 40, in(x.data()), y.data(), false);
    CHECK(y.values() == numbers(40, 0));
  }
}

TEST_CASE_TEMPLATE("adamw and its averages", T, ELEMENTS) {
  const AdamWStep step{.learning_rate = 0.01, .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.1, .correction1 = 0.1,
                       .correction2 = 0.05, .gradient_scale = 0.5, .ema1_decay = 0.99, .ema2_decay = 0.9};
  compare_sizes<T, 6>([&](auto k, auto& b, Index n, auto* w, auto* g, auto* m, auto* v, auto* e1, auto* e2) {
    k.multiply(b, n, in(g), in(g), v, false);  // a square, as second moments are
    k.adamw(b, step, n, w, in(g), m, v, e1, e2);
  });
  compare_sizes<T, 4>([&](auto k, auto& b, Index n, auto* w, auto* g, auto* m, auto* v) {
    k.multiply(b, n, in(g), in(g), v, false);
    k.adamw(b, step, n, w, in(g), m, v, nullptr, nullptr);
  });
}

/// The gradient of a loss of elements T, which the emulated device can read too.
template <class T> const compute_t<T>* d_loss_like(const T*) {
  static const compute_t<T> d_loss{0.75};
  return &d_loss;
}

TEST_CASE_TEMPLATE("gradients of the losses", T, ELEMENTS) {
  const double weight[] = {0.5, 2};
  const int labels[] = {0, 1, 0, 1};
  for (const bool add : {false, true}) {
    compare_sizes<T, 4>([&](auto k, auto& b, Index n, auto* x, auto* y, auto* d_x, auto* d_y) {
      k.weighted_mse_backward(b, Index{2}, n / 2, d_loss_like(x), in(x), in(y), weight, d_x, d_y, add);
    });
    compare_sizes<T, 2>([&](auto k, auto& b, Index n, auto* p, auto* d_x) {
      if (n / 4 >= 2) k.cross_entropy_backward(b, Index{4}, n / 4, d_loss_like(p), in(p), labels, d_x, add);
    });
  }
}

TEST_CASE_TEMPLATE("embedding, both ways, with labels that repeat", T, ELEMENTS) {
  const int labels[] = {1, 3, 1, 1};
  compare_sizes<T, 2>([&](auto k, auto& b, Index n, auto* table, auto* y) { k.embedding(b, Index{4}, n / 4, in(table), labels, y); });
  compare_sizes<T, 2>([&](auto k, auto& b, Index n, auto* d_y, auto* d_table) { k.embedding_backward(b, Index{4}, n / 4, in(d_y), labels, d_table); });
}

TEST_CASE_TEMPLATE("what Thrust does: filling, loops, sums of squares", T, ELEMENTS) {
  compare_sizes<T, 1>([](auto k, auto& b, Index n, auto* x) { k.fill(b, n, 0.5, x); });
  for (const Index n : {1, 1000}) {
    Device device;
    Guarded<T> x(device, numbers(n, 0));
    double expected = 0;
    for (const double v : numbers(n, 0)) expected += v * v;
    CHECK(CudaKernels::squared_norm(device, n, in(x.data())) == doctest::Approx(expected).epsilon(1e-12));
  }
}
