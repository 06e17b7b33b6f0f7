#include "backend/support.hpp"

using namespace test;

namespace {

struct Case {
  Index batch, heads, queries, keys, head_dim;
  bool packed = false;  // q, k and v are thirds of one projection
};

AttentionShape shape(const Case& c) {
  const Index row = (c.packed ? 3 : 1) * c.heads * c.head_dim, out = c.heads * c.head_dim;
  return {c.batch,    c.heads,
          c.queries,  c.keys,
          c.head_dim, c.queries * row,
          row,        c.keys * row,
          row,        c.keys * row,
          row,        c.queries * out,
          out,        1 / std::sqrt(static_cast<double>(c.head_dim))};
}

std::string describe(const Case& c) {
  return "attention batch " + std::to_string(c.batch) + " heads " + std::to_string(c.heads) + " queries " +
         std::to_string(c.queries) + " keys " + std::to_string(c.keys) + " head_dim " + std::to_string(c.head_dim);
}

template <class T> void run(const Case& c) {
  const AttentionShape s = shape(c);
  const Index third = c.heads * c.head_dim;
  const auto q = values<T>(s.batch * s.q_batch, 1, 2), keys = values<T>(s.batch * s.k_batch, 2, 2),
             values_ = values<T>(s.batch * s.v_batch, 3, 2);
  const T *const k = c.packed ? q.data() + third : keys.data(), *const v =
                                                                    c.packed ? q.data() + 2 * third : values_.data();
  const auto out_size = static_cast<std::size_t>(s.batch * s.o_batch),
             lse_size = static_cast<std::size_t>(s.batch * s.heads * s.queries);
  const std::vector<Vector<T>> outputs{Vector<T>(out_size), Vector<T>(lse_size)};
  verify<T>(
      outputs, describe(c),
      [&]<class K>(auto& backend, auto& out) {
        Kept<T> lse(lse_size);
        K::attention(backend, s, q.data(), k, v, out[0].data(), lse.data());
        finish(backend);
        lse.rounded(out[1]);
      },
      4);

  auto forward = outputs;
  Reference reference;
  Kept<T> lse(lse_size);
  Host::attention(reference, s, q.data(), k, v, forward[0].data(), lse.data());
  const auto d_out = values<T>(s.batch * s.o_batch, 4);
  const std::vector<Vector<T>> gradients{values<T>(s.batch * s.q_batch, 5), values<T>(s.batch * s.k_batch, 6),
                                              values<T>(s.batch * s.v_batch, 7)};
  for (const bool accumulate : {false, true})
    verify<T>(
        gradients, describe(c) + " backward",
        [&]<class K>(auto& backend, auto& d) {
          T *const d_k = c.packed ? d[0].data() + third : d[1].data(), *const d_v = c.packed ? d[0].data() + 2 * third
                                                                                             : d[2].data();
          K::attention_backward(backend, s, d_out.data(), q.data(), k, v, forward[0].data(), lse.data(),
                                d[0].data(), d_k, d_v, accumulate);
        },
        10);
}

}  // namespace

TEST_CASE_TEMPLATE("attention and its gradient agree with the reference", T, float, double, bf16) {
  run<T>({1, 1, 1, 1, 8});
  run<T>({2, 3, 17, 17, 32, true});
  run<T>({1, 2, 5, 80, 64});
  run<T>({2, 1, 33, 18, 72});
  run<T>({1, 2, 20, 20, 80, true});
  run<T>({1, 1, 19, 21, 104});
  run<T>({1, 1, 13, 50, 128});
  run<T>({1, 2, 70, 70, 20, true});  // rows that are not aligned
  run<T>({2, 1, 6, 11, 44});
  run<T>({1, 1, 5, 6, 100});
  run<T>({1, 1, 4, 7, 264});
}

TEST_CASE("bf16: the gradient does not suffer from a row's log-sum-exp being large") {
  const Case c{1, 2, 24, 24, 16};
  const AttentionShape s = shape(c);
  // Scores around 40: an lse rounded to bf16 would be off by up to 0.125, and each probability by an eighth.
  auto q = values<double>(s.q_batch, 1, 1), k = values<double>(s.k_batch, 2, 1);
  for (auto* x : {&q, &k})
    for (double& value : *x) value = static_cast<double>(static_cast<bf16>(2.5 + 0.6 * value + 0.03));
  Vector<bf16> q16(q.size()), k16(k.size());
  std::transform(q.begin(), q.end(), q16.begin(), [](double x) { return static_cast<bf16>(x); });
  std::transform(k.begin(), k.end(), k16.begin(), [](double x) { return static_cast<bf16>(x); });
  const auto v16 = values<bf16>(s.v_batch, 3), d16 = values<bf16>(s.o_batch, 4);
  const Vector<double> v(v16.begin(), v16.end()), d_out(d16.begin(), d16.end());
  const auto gradient = [&]<class T>(auto& backend, const Vector<T>& q_, const Vector<T>& k_, const Vector<T>& v_, const Vector<T>& d_) {
    using K = Kernels<std::remove_cvref_t<decltype(backend)>>;
    Vector<T> out(static_cast<std::size_t>(s.o_batch)), d_q(q_.size()), d_k(k_.size()), d_v(v_.size());
    Kept<T> lse(static_cast<std::size_t>(c.heads * c.queries));
    K::attention(backend, s, q_.data(), k_.data(), v_.data(), out.data(), lse.data());
    finish(backend);
    for (const auto x : lse.values) CHECK(static_cast<double>(x) > 16);
    K::attention_backward(backend, s, d_.data(), q_.data(), k_.data(), v_.data(), out.data(), lse.data(), d_q.data(), d_k.data(), d_v.data(), false);
    finish(backend);
    return std::vector<double>(d_v.begin(), d_v.end());
  };
  Reference reference;
  Tested device;
  const auto expected = gradient(reference, q, k, v, d_out), found = gradient(device, q16, k16, v16, d16);
  double error = 0, norm = 0;
  for (std::size_t i = 0; i < found.size(); ++i) error += (found[i] - expected[i]) * (found[i] - expected[i]), norm += expected[i] * expected[i];
  CHECK(std::sqrt(error / norm) < 5e-3);
}

TEST_CASE("attention over several blocks of queries and keys") {
  run<float>({1, 1, 301, 390, 16});
  run<float>({1, 3, 7, 1001, 24});
  run<float>({1, 2, 430, 9, 8});
}

TEST_CASE("attention without lse, and large scores") {
  const AttentionShape s = shape({1, 2, 20, 30, 16});
  const auto q = values<float>(s.q_batch, 1, 60), k = values<float>(s.k_batch, 2, 60), v = values<float>(s.v_batch, 3);
  compare<float>(
      {Vector<float>(static_cast<std::size_t>(s.o_batch))}, "attention, scores in the thousands",
      [&]<class K>(auto& backend, auto& out) {
        K::attention(backend, s, q.data(), k.data(), v.data(), out[0].data(), nullptr);
      },
      100);
}
