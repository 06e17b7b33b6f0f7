#include "backend/support.hpp"

using namespace test;

namespace {

enum class Layout { nn, nt, tn, strided };

struct Case {
  Index m, n, k, batch;
  Layout layout;
  bool accumulate, bias;
  Activation activation;
  bool shared_b = false;
};

struct Operands {
  MatmulShape shape;
  Index a_size, b_size, c_size;
};

Operands operands(const Case& c) {
  MatmulShape s{};
  s.m = c.m, s.n = c.n, s.k = c.k, s.batch = c.batch;
  const Index gap = c.layout == Layout::strided ? 3 : 0;  // between rows; columns two apart as well
  const Index step = c.layout == Layout::strided ? 2 : 1;
  s.a_row = c.layout == Layout::tn ? 1 : c.k * step + gap;
  s.a_col = c.layout == Layout::tn ? c.m : step;
  s.b_row = c.layout == Layout::nt ? 1 : c.n * step + gap;
  s.b_col = c.layout == Layout::nt ? c.k : step;
  s.c_row = c.n + gap;
  const Index a_size = c.layout == Layout::tn ? c.m * c.k : c.m * s.a_row,
              b_size = c.layout == Layout::nt ? c.n * c.k : c.k * s.b_row;
  s.a_batch = a_size;
  s.b_batch = c.shared_b ? 0 : b_size;
  s.c_batch = c.m * s.c_row;
  return {s, a_size * c.batch, b_size * c.batch, s.c_batch * c.batch};
}

std::string describe(const Case& c) {
  return "matmul " + std::to_string(c.m) + "x" + std::to_string(c.n) + "x" + std::to_string(c.k) + " batch " +
         std::to_string(c.batch) + " layout " + std::to_string(static_cast<int>(c.layout)) +
         (c.accumulate ? " accumulate" : "") + (c.bias ? " bias" : "") + " activation " +
         std::to_string(static_cast<int>(c.activation));
}

template <class T> void run(const Case& c) {
  const Operands o = operands(c);
  const auto a = values<T>(o.a_size, 1), b = values<T>(o.b_size, 2), bias = values<T>(c.n, 3);
  verify<T>(
      {values<T>(o.c_size, 4)}, describe(c),
      [&]<class K>(auto& backend, auto& out) {
        K::matmul(backend, o.shape, a.data(), b.data(), out[0].data(), c.accumulate, c.bias ? bias.data() : nullptr,
                  c.activation);
      },
      4);
}

}  // namespace

TEST_CASE_TEMPLATE("matmul agrees with the reference over awkward shapes and layouts", T, float, double, bf16) {
  for (const Index m : {1, 5, 12, 25})
    for (const Index n : {1, 17, 32, 71})
      for (const Index k : {1, 16, 37})
        for (const Layout layout : {Layout::nn, Layout::nt, Layout::tn, Layout::strided})
          run<T>({m, n, k, 1, layout, (m + n) % 2 == 0, false, Activation::none});
}

TEST_CASE_TEMPLATE("matmul over several blocks of rows, columns and depth", T, float, double, bf16) {
  run<T>({205, 67, 801, 1, Layout::nt, false, true, Activation::silu});
  // One panel of columns: rows as they lie.
  run<T>({405, 20, 801, 1, Layout::nn, false, true, Activation::silu});
  run<T>({405, 20, 801, 1, Layout::nt, true, false, Activation::none});
  run<T>({197, 1063, 29, 1, Layout::nn, true, false, Activation::none});
  run<T>({33, 200, 400, 1, Layout::tn, true, false, Activation::none});
  run<T>({3, 300, 770, 1, Layout::nt, false, true, Activation::none});
}

TEST_CASE_TEMPLATE("matmul's bias and activations", T, float, double, bf16) {
  for (const Activation activation :
       {Activation::none, Activation::relu, Activation::silu, Activation::gelu_erf, Activation::gelu_tanh})
    for (const bool bias : {false, true}) {
      run<T>({19, 45, 23, 1, Layout::nt, false, bias, activation});
      run<T>({6, 40, 8, 2, Layout::nn, false, bias, activation});
    }
}

TEST_CASE_TEMPLATE("batched matmul, with and without a shared operand", T, float, double, bf16) {
  run<T>({7, 33, 20, 5, Layout::nt, false, false, Activation::none});
  run<T>({13, 16, 64, 9, Layout::tn, true, false, Activation::none});
  run<T>({13, 16, 64, 4, Layout::strided, true, false, Activation::none, true});
  run<T>({6, 40, 64, 4, Layout::nt, false, true, Activation::relu, true});
}

TEST_CASE_TEMPLATE("matmul of nothing", T, float, double, bf16) {
  run<T>({3, 5, 0, 2, Layout::nt, false, true, Activation::silu});
  run<T>({3, 5, 0, 2, Layout::nt, true, false, Activation::none});
  run<T>({0, 5, 3, 1, Layout::nt, true, false, Activation::none});
}

#if !defined(SFUMATO_TEST_CUDA)  // libraries choose other algorithms for other shapes
TEST_CASE_TEMPLATE("a row's product does not depend on the rows around it", T, float, double, bf16) {
  const Index k = 500, most = 230;
  const auto a = values<T>(most * k, 1);
  for (const SimdLevel level : levels())
    for (const Index n : {3, 7, 12, 16, 31, 75}) {  // one panel of columns at some of the levels, and several
      const auto b = values<T>(n * k, 2);
      Cpu cpu(2, level);
      Vector<T> whole(static_cast<std::size_t>(most * n));
      const auto product = [&](Index first, Index m, T* c) {
        Fast::matmul(cpu, MatmulShape{m, n, k, k, 1, 1, k, n}, a.data() + first * k, b.data(), c, false, nullptr,
                     Activation::none);
      };
      product(0, most, whole.data());
      for (const Index m : {1, 2, 11, 13, 48, 100}) {
        const Index first = most - m - 3;
        Vector<T> part(static_cast<std::size_t>(m * n));
        product(first, m, part.data());
        check_equal_bits(part, Vector<T>(whole.begin() + first * n, whole.begin() + (first + m) * n),
                         "rows " + std::to_string(m) + " of " + std::to_string(n));
      }
    }
}
#endif
