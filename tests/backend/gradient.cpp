// The reference's analytic gradients against central differences in double.
#include "central_difference.hpp"
#include "support.hpp"

#include <functional>

using namespace test;

namespace {

using Values = std::vector<double>;

Values zeros(Index n) { return Values(static_cast<std::size_t>(n)); }

double dot(const Values& a, const Values& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// |g - h| / |g + h| < 1e-6, where h[i] is the central difference of `loss` in x[i].
void check_gradient(const std::string& what, Values& x, const Values& gradient, const std::function<double()>& loss) {
  double difference = 0, sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double numeric = central_difference(x[i], loss);
    difference += (gradient[i] - numeric) * (gradient[i] - numeric);
    sum += (gradient[i] + numeric) * (gradient[i] + numeric);
  }
  CHECK_MESSAGE(std::sqrt(difference / sum) < 1e-6, what << ": relative error " << std::sqrt(difference / sum));
}

Reference r;

}  // namespace

TEST_CASE("gradient of norm") {
  for (const NormKind kind : {NormKind::layer, NormKind::rms})
    for (const Index per_sample : {1, 3}) {
      const Index rows = 6, width = 7, stride = 2 * width, samples = rows / per_sample;
      const RowShape s{rows, width, per_sample, stride};
      Values x = values<double>(rows * width, 1), w = values<double>(width, 2), b = values<double>(width, 3),
             m = values<double>(samples * stride, 4);
      const Values d_y = values<double>(rows * width, 5);
      Values y = zeros(rows * width), mean = zeros(rows), rstd = zeros(rows);
      const auto loss = [&] {
        Host::norm(r, kind, s, 1e-3, x.data(), w.data(), b.data(), m.data(), m.data() + width, y.data(), mean.data(),
                   rstd.data());
        return dot(y, d_y);
      };
      loss();
      Values d_x = zeros(rows * width), d_w = zeros(width), d_b = zeros(width), d_m = zeros(samples * stride);
      Host::norm_backward(r, kind, s, d_y.data(), x.data(), w.data(), b.data(), m.data() + width, mean.data(),
                          rstd.data(), d_x.data(), false, d_w.data(), d_b.data(), d_m.data(), d_m.data() + width);
      check_gradient("norm, x", x, d_x, loss);
      check_gradient("norm, weight", w, d_w, loss);
      check_gradient("norm, bias", b, d_b, loss);
      check_gradient("norm, modulation", m, d_m, loss);
    }
}

TEST_CASE("gradient of the gated residual") {
  const RowShape s{6, 5, 3, 5};
  Values x = values<double>(30, 1), h = values<double>(30, 2), gate = values<double>(10, 3), y = zeros(30),
         d_h = zeros(30), d_gate = zeros(10);
  const Values d_y = values<double>(30, 4);
  const auto loss = [&] {
    Host::gated_residual(r, s, x.data(), h.data(), gate.data(), y.data());
    return dot(y, d_y);
  };
  Host::gated_residual_backward(r, s, d_y.data(), h.data(), gate.data(), d_h.data(), false, d_gate.data());
  check_gradient("gated residual, h", h, d_h, loss);
  check_gradient("gated residual, gate", gate, d_gate, loss);
}

TEST_CASE("gradient of QK-norm and rotary embedding") {
  for (const bool norm : {false, true}) {
    const QkShape s{4, 2, 2, 6, 1e-3};
    Values qkv = values<double>(4 * 3 * 12, 1), weights = values<double>(12, 2), qk = zeros(4 * 2 * 12),
           rstd = zeros(4 * 4);
    const Values table = values<double>(2 * 6, 3), d_qk = values<double>(4 * 2 * 12, 4);
    const double *const q_weight = norm ? weights.data() : nullptr, *const k_weight =
                                                                        norm ? weights.data() + 6 : nullptr;
    const auto loss = [&] {
      Host::qk_norm_rotary(r, s, qkv.data(), q_weight, k_weight, table.data(), qk.data(), rstd.data());
      return dot(qk, d_qk);
    };
    loss();
    Values d_qkv = zeros(4 * 3 * 12), d_weights = zeros(12);
    Host::qk_norm_rotary_backward(r, s, d_qk.data(), qkv.data(), q_weight, k_weight, table.data(), rstd.data(),
                                  d_qkv.data(), false, d_weights.data(), d_weights.data() + 6);
    check_gradient("QK-norm, qkv", qkv, d_qkv, loss);
    if (norm) check_gradient("QK-norm, weights", weights, d_weights, loss);
  }
}

TEST_CASE("gradient of attention") {
  const Index batch = 2, heads = 2, queries = 3, keys = 5, width = 4, row = heads * width;
  const AttentionShape s{batch,      heads, queries,    keys, width,         queries * row, row,
                         keys * row, row,   keys * row, row,  queries * row, row,           0.7};
  Values q = values<double>(batch * queries * row, 1), k = values<double>(batch * keys * row, 2),
         v = values<double>(batch * keys * row, 3);
  Values out = zeros(batch * queries * row), lse = zeros(batch * heads * queries), d_q = out,
         d_k = zeros(batch * keys * row), d_v = d_k;
  const Values d_out = values<double>(batch * queries * row, 4);
  const auto loss = [&] {
    Host::attention(r, s, q.data(), k.data(), v.data(), out.data(), lse.data());
    return dot(out, d_out);
  };
  loss();
  Host::attention_backward(r, s, d_out.data(), q.data(), k.data(), v.data(), out.data(), lse.data(), d_q.data(),
                           d_k.data(), d_v.data(), false);
  check_gradient("attention, q", q, d_q, loss);
  check_gradient("attention, k", k, d_k, loss);
  check_gradient("attention, v", v, d_v, loss);
}

TEST_CASE("gradients of activations, swiglu and softmax") {
  Values x = values<double>(24, 1, 3), d_x = zeros(24), y = zeros(24);
  const Values d_y = values<double>(24, 2), d_half = values<double>(12, 2);
  for (const Activation kind :
       {Activation::none, Activation::relu, Activation::silu, Activation::gelu_erf, Activation::gelu_tanh}) {
    Host::activation_backward(r, kind, 24, d_y.data(), x.data(), d_x.data(), false);
    check_gradient("activation " + std::to_string(static_cast<int>(kind)), x, d_x, [&] {
      Host::activation(r, kind, 24, x.data(), y.data());
      return dot(y, d_y);
    });
  }
  Values half = zeros(12);
  Host::swiglu_backward(r, 3, 4, d_half.data(), x.data(), d_x.data(), false);
  check_gradient("swiglu", x, d_x, [&] {
    Host::swiglu(r, 3, 4, x.data(), half.data());
    return dot(half, d_half);
  });
  const auto softmax = [&] {
    Host::softmax(r, 4, 6, x.data(), y.data());
    return dot(y, d_y);
  };
  softmax();
  Host::softmax_backward(r, 4, 6, d_y.data(), y.data(), d_x.data(), false);
  check_gradient("softmax", x, d_x, softmax);
}

TEST_CASE("gradients of the losses") {
  Values x = values<double>(24, 1, 3), target = values<double>(24, 2), d_x = zeros(24), d_target = zeros(24),
         probabilities = zeros(24), value = zeros(1);
  const Values d_loss{1.7};
  const int labels[] = {0, 5, 2, 3};
  const auto entropy = [&] {
    Host::cross_entropy(r, 4, 6, x.data(), labels, probabilities.data(), value.data());
    return value[0] * d_loss[0];
  };
  entropy();
  Host::cross_entropy_backward(r, 4, 6, d_loss.data(), probabilities.data(), labels, d_x.data(), false);
  check_gradient("cross entropy", x, d_x, entropy);

  const double weight[] = {0.5, 2, 1};
  const auto mse = [&] {
    Host::weighted_mse(r, 3, 8, x.data(), target.data(), weight, value.data());
    return value[0] * d_loss[0];
  };
  Host::weighted_mse_backward(r, 3, 8, d_loss.data(), x.data(), target.data(), weight, d_x.data(), d_target.data(),
                              false);
  check_gradient("weighted mse, x", x, d_x, mse);
  check_gradient("weighted mse, target", target, d_target, mse);
}
