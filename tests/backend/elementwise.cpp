#include "backend/support.hpp"

using namespace test;

namespace {

template <class T> Vector<T> zeros(Index n) { return Vector<T>(static_cast<std::size_t>(n)); }
constexpr Index sizes[] = {1, 7, 16, 33, 100};
constexpr Activation kinds[] = {Activation::none, Activation::relu, Activation::silu, Activation::gelu_erf,
                                Activation::gelu_tanh};

}  // namespace

TEST_CASE_TEMPLATE("activations", T, float, double, bf16) {
  for (const Index n : sizes)
    for (const Activation kind : kinds) {
      const auto x = values<T>(n, 1, 6), d_y = values<T>(n, 2);
      verify<T>({zeros<T>(n)}, "activation",
                [&]<class K>(auto& backend, auto& out) { K::activation(backend, kind, n, x.data(), out[0].data()); });
      for (const bool accumulate : {false, true})
        verify<T>({values<T>(n, 3)}, "activation backward", [&]<class K>(auto& backend, auto& out) {
          K::activation_backward(backend, kind, n, d_y.data(), x.data(), out[0].data(), accumulate);
        });
    }
}

TEST_CASE_TEMPLATE("swiglu", T, float, double, bf16) {
  for (const auto& size_of : {std::array<Index, 2>{1, 1}, {1, 17}, {3, 17}, {5, 64}}) {
    const Index rows = size_of[0], hidden = size_of[1];
    const auto x = values<T>(rows * 2 * hidden, 1, 5), d_y = values<T>(rows * hidden, 2);
    verify<T>({zeros<T>(rows * hidden)}, "swiglu",
              [&]<class K>(auto& backend, auto& out) { K::swiglu(backend, rows, hidden, x.data(), out[0].data()); });
    for (const bool accumulate : {false, true})
      verify<T>({values<T>(rows * 2 * hidden, 3)}, "swiglu backward", [&]<class K>(auto& backend, auto& out) {
        K::swiglu_backward(backend, rows, hidden, d_y.data(), x.data(), out[0].data(), accumulate);
      });
  }
}

TEST_CASE("exp, sigmoid and erf at the ends of the range") {
  Vector<float> x;
  for (float v = -120; v <= 100; v += 0.37f) x.push_back(v);
  x.insert(x.end(), {-1e30f, 1e30f, 0.0f, -0.0f, 1e-20f, -std::numeric_limits<float>::infinity()});
  const auto n = static_cast<Index>(x.size());
  on_each([&](Tested& device, const std::string& level) {
    Vector<float> y(2 * x.size()), pairs;
    for (const float v : x) pairs.insert(pairs.end(), {0, v});
    Fast::softmax(device, n, 2, pairs.data(), y.data());  // of (0, v) it is the sigmoid of -v and of v, through exp
    finish(device);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const float v = x[i];
      const double expected = 1 / (1 + std::exp(-static_cast<double>(v)));
      CHECK_MESSAGE(std::abs(static_cast<double>(y[2 * i + 1]) - expected) <= 4e-7 * expected + 1e-37, level << ": " << v);
    }
    for (const Activation kind : {Activation::silu, Activation::gelu_erf, Activation::gelu_tanh}) {
      Fast::activation(device, kind, n - 1, x.data(), y.data());
      finish(device);
      for (std::size_t i = 0; i + 1 < x.size(); ++i) {
        const double expected = backend::activate(kind, static_cast<double>(x[i]));
        CHECK_MESSAGE(std::abs(static_cast<double>(y[i]) - expected) <= 2e-6 + 1e-6 * std::abs(expected),
                      level << ": " << static_cast<int>(kind) << " of " << x[i]);
      }
    }
    const Vector<float> nan{std::numeric_limits<float>::quiet_NaN()};
    for (const Activation kind : kinds) {
      Vector<float> out{0};
      Fast::activation(device, kind, 1, nan.data(), out.data());
      finish(device);
      CHECK_MESSAGE(std::isnan(out[0]), level << ": NaN must come through activation " << static_cast<int>(kind));
    }
  });
}

TEST_CASE_TEMPLATE("losses", T, float, double, bf16) {
  for (const auto& size_of : {std::array<Index, 2>{1, 1}, {3, 37}, {2, 40000}}) {
    const Index batch = size_of[0], size = size_of[1];
    const auto x = values<T>(batch * size, 1), target = values<T>(batch * size, 2);
    const auto d_loss = values<compute_t<T>>(1, 3);
    const std::vector<double> weight{0.5, 2, 0.25};
    verify<compute_t<T>>({zeros<compute_t<T>>(1)}, "weighted_mse", [&]<class K>(auto& backend, auto& out) {
      K::weighted_mse(backend, batch, size, x.data(), target.data(), weight.data(), out[0].data());
    });
    for (const bool accumulate : {false, true})
      verify<T>({zeros<T>(batch * size), zeros<T>(batch * size)}, "weighted_mse backward",
                [&]<class K>(auto& backend, auto& d) {
                  K::weighted_mse_backward(backend, batch, size, d_loss.data(), x.data(), target.data(), weight.data(),
                                           d[0].data(), data_or_null(d[1], accumulate), accumulate);
                });
    Reference reference;
    const double expected = Host::squared_norm(reference, batch * size, x.data());
    std::vector<double> norms;
    on_each_alike([&](Tested& device, const std::string& name) {
      norms.push_back(Fast::squared_norm(device, batch * size, x.data()));
      CHECK_MESSAGE(norms.back() == norms[0], name);
      CHECK(norms.back() == doctest::Approx(expected).epsilon(1e-12));
    });
  }
}

TEST_CASE_TEMPLATE("sums and products", T, float, double, bf16) {
  for (const auto& size_of : {std::array<Index, 2>{1, 1}, {3, 37}, {2, 20000}}) {
    const Index batch = size_of[0], size = size_of[1];
    const auto x = values<T>(batch * size, 1), y = values<T>(batch * size, 2), start = values<T>(batch * size, 3);
    const std::vector<double> alpha{0.5, -2, 0.25}, beta{1, 0.125, -3};
    for (const bool accumulate : {false, true}) {
      verify<T>({start}, "linear_combination", [&]<class K>(auto& backend, auto& out) {
        K::linear_combination(backend, batch, size, alpha.data(), x.data(), beta.data(), y.data(), out[0].data(),
                              accumulate);
      });
      verify<T>({start}, "linear_combination of one", [&]<class K>(auto& backend, auto& out) {
        K::linear_combination(backend, batch, size, alpha.data(), x.data(), nullptr, nullptr, out[0].data(),
                              accumulate);
      });
      verify<T>({start}, "multiply", [&]<class K>(auto& backend, auto& out) {
        K::multiply(backend, batch * size, x.data(), y.data(), out[0].data(), accumulate);
      });
      verify<T>({start}, "dropout", [&]<class K>(auto& backend, auto& out) {
        K::dropout(backend, Random{7, Stream::dropout, 3}, 5, batch * size, 0.3, x.data(), out[0].data(), accumulate);
      });
    }
    verify<T>({start}, "fill",
              [&]<class K>(auto& backend, auto& out) { K::fill(backend, batch * size, 1.5, out[0].data()); });
  }
}

TEST_CASE_TEMPLATE("normal numbers are the reference's, bit for bit, wherever the range starts", T, float, double,
                   bf16) {
  for (const std::uint64_t first : {0u, 3u, 1001u})
    for (const Index n : {1, 6, 5000}) {
      const Random random{42, Stream::noise, 9};
      Vector<T> expected(static_cast<std::size_t>(n)), found(expected);
      Reference reference;
      Host::normal(reference, random, first, n, 0.7, expected.data());
      on_each_alike([&](Tested& device, const std::string& name) {
        Fast::normal(device, random, first, n, 0.7, found.data());
        finish(device);
#if defined(SFUMATO_TEST_GPU)  // its logarithm and cosine are its own; the bits below them are those that dropout's masks show
        check_close(found, expected, "normal, " + name);
#else
        check_equal_bits(found, expected, "normal, " + name);
#endif
      });
    }
}

TEST_CASE_TEMPLATE("AdamW", T, float, double, bf16) {
  const Index n = 40037;
  const AdamWStep step{1e-2, 0.9, 0.95, 1e-8, 0.1, 1 - 0.9, 1 - 0.95, 0.5, 0.99, 0.9};
  const auto gradient = values<T>(n, 1);
  auto v = values<T>(n, 4);
  for (T& x : v) x = static_cast<T>(std::abs(static_cast<double>(x)));
  for (const bool ema : {false, true})
    verify<T>({values<T>(n, 2), values<T>(n, 3), v, values<T>(n, 5), values<T>(n, 6)}, "adamw",
              [&]<class K>(auto& backend, auto& out) {
                K::adamw(backend, step, n, out[0].data(), gradient.data(), out[1].data(), out[2].data(),
                         data_or_null(out[3], ema), data_or_null(out[4], ema));
              });
}

TEST_CASE_TEMPLATE("conversions between types of element", T, float, double, bf16) {
  const auto convert = [&]<class From>(std::type_identity<From>) {
    for (const Index n : {1, 7, 1000}) {
      const auto x = values<From>(n, 1);
      for (const bool accumulate : {false, true})
        verify<T>({values<T>(n, 2)}, "convert", [&]<class K>(auto& backend, auto& out) { K::convert(backend, n, x.data(), out[0].data(), accumulate); });
    }
  };
  convert(std::type_identity<T>{});
  convert(std::type_identity<compute_t<T>>{});
  if constexpr (std::is_same_v<T, float>) convert(std::type_identity<bf16>{});
}

TEST_CASE_TEMPLATE("strided copies: permute, broadcast, reduce", T, float, double, bf16) {
  const auto src = values<T>(6 * 5 * 40, 1), start = values<T>(6 * 5 * 40, 2);
  const std::vector<CopyShape> shapes{
      {0, {}, {}, {}},
      {1, {37}, {1}, {1}},
      {1, {37}, {0}, {1}},
      {1, {37}, {2}, {3}},
      {3, {6, 5, 40}, {200, 40, 1}, {200, 40, 1}},
      {3, {5, 6, 40}, {40, 200, 1}, {240, 40, 1}},
      {3, {40, 6, 5}, {1, 200, 40}, {30, 5, 1}},
      {4, {2, 3, 1, 7}, {0, 7, 9, 1}, {21, 7, 5, 1}},
  };
  for (const CopyShape& s : shapes)
    for (const bool accumulate : {false, true})
      verify<T>({start}, "strided_copy", [&]<class K>(auto& backend, auto& out) {
        K::strided_copy(backend, s, src.data(), out[0].data(), accumulate);
      });
  const std::vector<CopyShape> reductions{{1, {37}, {1}, {0}},
                                          {2, {30, 40}, {40, 1}, {0, 1}},
                                          {2, {30, 40}, {40, 1}, {1, 0}},
                                          {3, {6, 5, 40}, {200, 40, 1}, {0, 40, 1}},
                                          {3, {30, 5, 8}, {40, 8, 1}, {0, 1, 0}}};
  for (const CopyShape& s : reductions)
    verify<T>(
        {start}, "strided_copy, reducing",
        [&]<class K>(auto& backend, auto& out) { K::strided_copy(backend, s, src.data(), out[0].data(), true); }, 10);
}
