#include "backend/support.hpp"

using namespace test;

namespace {

template <class T> Vector<T> zeros(Index n) { return Vector<T>(static_cast<std::size_t>(n)); }

struct Case {
  Index rows, width, per_sample;
  bool affine, bias, modulated;
};

template <class T> void run_norm(NormKind kind, const Case& c) {
  const Index samples = (c.rows + c.per_sample - 1) / c.per_sample, stride = 2 * c.width + 3;
  const RowShape s{c.rows, c.width, c.per_sample, stride};
  const auto x = values<T>(c.rows * c.width, 1, 3), weight = values<T>(c.width, 2), bias = values<T>(c.width, 3),
             modulation = values<T>(samples * stride, 4);
  const T *const w = data_or_null(weight, c.affine), *const b = data_or_null(bias, c.bias);
  const T *const shift = data_or_null(modulation, c.modulated), *const scale = c.modulated ? shift + c.width : nullptr;
  const std::string what = std::string(kind == NormKind::layer ? "layer" : "rms") + " norm " + std::to_string(c.rows) +
                           "x" + std::to_string(c.width) + " per sample " + std::to_string(c.per_sample) +
                           (c.affine ? " affine" : "") + (c.modulated ? " modulated" : "");
  std::vector<Vector<T>> forward{zeros<T>(c.rows * c.width), zeros<T>(c.rows), zeros<T>(c.rows)};
  verify<T>(
      forward, what,
      [&]<class K>(auto& backend, auto& out) {
        Kept<T> mean(out[1].size()), rstd(out[2].size());
        K::norm(backend, kind, s, 1e-5, x.data(), w, b, shift, scale, out[0].data(), mean.data(), rstd.data());
        finish(backend);
        mean.rounded(out[1]);
        rstd.rounded(out[2]);
      },
      4);
  verify<T>(
      {forward[0]}, what,
      [&]<class K>(auto& backend, auto& out) {
        K::norm(backend, kind, s, 1e-5, x.data(), w, b, shift, scale, out[0].data(), nullptr, nullptr);
      },
      4);

  Reference reference;
  Kept<T> row_mean(forward[1].size()), rstd(forward[2].size());
  Host::norm(reference, kind, s, 1e-5, x.data(), w, b, shift, scale, forward[0].data(), row_mean.data(), rstd.data());
  const auto d_y = values<T>(c.rows * c.width, 5);
  const compute_t<T>* const mean = kind == NormKind::layer ? row_mean.data() : nullptr;
  const std::vector<Vector<T>> gradients{values<T>(c.rows * c.width, 6), values<T>(c.width, 7),
                                              values<T>(c.width, 8), values<T>(samples * stride, 9)};
  for (const bool accumulate : {false, true})
    verify<T>(
        gradients, what + " backward",
        [&]<class K>(auto& backend, auto& d) {
          T* const d_shift = data_or_null(d[3], c.modulated);
          K::norm_backward(backend, kind, s, d_y.data(), x.data(), w, b, scale, mean, rstd.data(), d[0].data(),
                           accumulate, data_or_null(d[1], c.affine), data_or_null(d[2], c.bias), d_shift,
                           c.modulated ? d_shift + c.width : nullptr);
        },
        10);
  verify<T>(
      {gradients[1]}, what + " backward without d_x",
      [&]<class K>(auto& backend, auto& d) {
        K::norm_backward(backend, kind, s, d_y.data(), x.data(), w, b, scale, mean, rstd.data(), nullptr, false,
                         d[0].data(), nullptr, nullptr, nullptr);
      },
      10);
}

template <class T> void run_qk(Index rows, Index tokens, Index heads, Index width, bool norm, bool rotary) {
  const QkShape s{rows, tokens, heads, width, 1e-6};
  const auto qkv = values<T>(rows * 3 * heads * width, 1, 2), weights = values<T>(2 * width, 2),
             table = values<T>(tokens * width, 3);
  const T *const q_weight = data_or_null(weights, norm), *const k_weight = norm ? q_weight + width : nullptr,
                 *const rotation = data_or_null(table, rotary);
  const std::string what = "qk_norm_rotary " + std::to_string(rows) + " heads " + std::to_string(heads) + "x" +
                           std::to_string(width) + (norm ? " norm" : "") + (rotary ? " rotary" : "");
  std::vector<Vector<T>> forward{zeros<T>(rows * 2 * heads * width), zeros<T>(rows * 2 * heads)};
  verify<T>(
      forward, what,
      [&]<class K>(auto& backend, auto& out) {
        Kept<T> rstd(out[1].size());
        K::qk_norm_rotary(backend, s, qkv.data(), q_weight, k_weight, rotation, out[0].data(), rstd.data());
        finish(backend);
        rstd.rounded(out[1]);
      },
      4);
  Reference reference;
  Kept<T> rstd(forward[1].size());
  Host::qk_norm_rotary(reference, s, qkv.data(), q_weight, k_weight, rotation, forward[0].data(), rstd.data());
  const auto d_qk = values<T>(rows * 2 * heads * width, 4);
  for (const bool accumulate : {false, true})
    verify<T>(
        {values<T>(rows * 3 * heads * width, 5), values<T>(2 * width, 6)}, what + " backward",
        [&]<class K>(auto& backend, auto& d) {
          K::qk_norm_rotary_backward(backend, s, d_qk.data(), qkv.data(), q_weight, k_weight, rotation,
                                     rstd.data(), d[0].data(), accumulate, data_or_null(d[1], norm),
                                     norm ? d[1].data() + width : nullptr);
        },
        10);
}

}  // namespace

TEST_CASE_TEMPLATE("norm and its gradient agree with the reference", T, float, double, bf16) {
  for (const NormKind kind : {NormKind::layer, NormKind::rms}) {
    run_norm<T>(kind, {1, 8, 1, false, false, false});
    run_norm<T>(kind, {7, 33, 1, true, true, false});
    run_norm<T>(kind, {12, 71, 4, false, false, true});   // whole samples in a chunk
    run_norm<T>(kind, {10, 16, 4, true, false, true});    // a last sample that is not full
    run_norm<T>(kind, {300, 24, 150, true, true, true});  // samples in several chunks
    run_norm<T>(kind, {200, 48, 1, true, true, true});
    run_norm<T>(kind, {1100, 24, 1, true, true, true});  // a modulation for each row, sums of several groups
    run_norm<T>(kind, {40, 16, 1, false, false, true});
  }
}

TEST_CASE_TEMPLATE("gated residual", T, float, double, bf16) {
  for (const auto& size_of : {std::array<Index, 3>{3, 5, 1}, {12, 33, 4}, {260, 17, 130}}) {
    const Index rows = size_of[0], width = size_of[1], per_sample = size_of[2];
    const Index stride = width + 2, samples = rows / per_sample;
    const RowShape s{rows, width, per_sample, stride};
    const auto x = values<T>(rows * width, 1), h = values<T>(rows * width, 2), gate = values<T>(samples * stride, 3);
    verify<T>({zeros<T>(rows * width)}, "gated_residual", [&]<class K>(auto& backend, auto& out) {
      K::gated_residual(backend, s, x.data(), h.data(), gate.data(), out[0].data());
    });
    verify<T>({zeros<T>(rows * width)}, "residual", [&]<class K>(auto& backend, auto& out) {
      K::gated_residual(backend, RowShape{rows, width, rows}, x.data(), h.data(), nullptr, out[0].data());
    });
    for (const bool accumulate : {false, true})
      verify<T>(
          {values<T>(rows * width, 4), values<T>(samples * stride, 5)}, "gated_residual backward",
          [&]<class K>(auto& backend, auto& d) {
            K::gated_residual_backward(backend, s, x.data(), h.data(), gate.data(), d[0].data(), accumulate,
                                       d[1].data());
          },
          4);
    verify<T>({values<T>(rows * width, 4)}, "gated_residual backward, d_h alone", [&]<class K>(auto& backend, auto& d) {
      K::gated_residual_backward(backend, s, x.data(), h.data(), gate.data(), d[0].data(), false, nullptr);
    });
  }
}

TEST_CASE("a wide residual stream: what norms read and gated residuals write is rounded to no less than f32") {
  for (const auto& size_of : {std::array<Index, 3>{3, 5, 1}, {6, 5, 3}, {12, 32, 4}, {260, 20, 130}}) {
    const Index rows = size_of[0], width = size_of[1], per_sample = size_of[2], stride = 2 * width, samples = rows / per_sample;
    const RowShape s{rows, width, per_sample, stride};
    const auto x = values<float>(rows * width, 1, 3), start = values<float>(rows * width, 2);
    const auto h = values<bf16>(rows * width, 3), weight = values<bf16>(width, 4), modulation = values<bf16>(samples * stride, 5);
    const bf16 *const shift = modulation.data(), *const scale = shift + width;
    for (const NormKind kind : {NormKind::layer, NormKind::rms}) {
      const auto norm = [&]<class K>(auto& backend, bf16* y, float* mean, float* rstd) {
        K::norm(backend, kind, s, 1e-5, x.data(), weight.data(), nullptr, shift, scale, y, mean, rstd);
        finish(backend);
      };
      verify<bf16>({zeros<bf16>(rows * width)}, "norm", [&]<class K>(auto& backend, auto& out) { norm.template operator()<K>(backend, out[0].data(), nullptr, nullptr); });
      const auto statistics = [&]<class K>(auto& backend, auto& out) {
        auto y = zeros<bf16>(rows * width);
        norm.template operator()<K>(backend, y.data(), kind == NormKind::layer ? out[0].data() : nullptr, out[1].data());
      };
      std::vector<Vector<float>> kept{zeros<float>(rows), zeros<float>(rows)};
      verify<float>(kept, "norm's statistics", statistics);
      Reference reference;
      statistics.template operator()<Host>(reference, kept);
      const auto backward = [&]<class K>(auto& backend, float* d_x, bool accumulate, bf16* d_weight, bf16* d_shift, bf16* d_scale) {
        K::norm_backward(backend, kind, s, h.data(), x.data(), weight.data(), nullptr, scale, kind == NormKind::layer ? kept[0].data() : nullptr, kept[1].data(),
                         d_x, accumulate, d_weight, nullptr, d_shift, d_scale);
      };
      for (const bool accumulate : {false, true})
        verify<float>({start}, "norm backward", [&]<class K>(auto& backend, auto& d) { backward.template operator()<K>(backend, d[0].data(), accumulate, nullptr, nullptr, nullptr); }, 4);
      verify<bf16>({values<bf16>(width, 6), values<bf16>(samples * stride, 7)}, "norm backward, its sums",
                   [&]<class K>(auto& backend, auto& d) { backward.template operator()<K>(backend, nullptr, false, d[0].data(), d[1].data(), d[1].data() + width); });
    }
    for (const bf16* const gate : {scale, static_cast<const bf16*>(nullptr)})
      verify<float>({start}, "gated_residual", [&]<class K>(auto& backend, auto& out) { K::gated_residual(backend, s, x.data(), h.data(), gate, out[0].data()); });
    for (const bool accumulate : {false, true})
      verify<bf16>({values<bf16>(rows * width, 8), values<bf16>(samples * stride, 9)}, "gated_residual backward", [&]<class K>(auto& backend, auto& d) {
        K::gated_residual_backward(backend, s, x.data(), h.data(), scale, d[0].data(), accumulate, d[1].data());
      });
  }
}

TEST_CASE_TEMPLATE("QK-norm and rotary embedding", T, float, double, bf16) {
  for (const Index width : {6, 7, 8, 32, 64, 72, 104})
    for (const bool norm : {false, true})
      for (const bool rotary : {false, true})
        if (width % 2 == 0 || !rotary) run_qk<T>(6, 3, 2, width, norm, rotary);
  run_qk<T>(200, 20, 1, 16, true, true);
}

TEST_CASE_TEMPLATE("softmax and cross entropy", T, float, double, bf16) {
  for (const auto& size_of : {std::array<Index, 2>{1, 1}, {5, 7}, {3, 16}, {9, 100}}) {
    const Index rows = size_of[0], width = size_of[1];
    const auto x = values<T>(rows * width, 1, 8), d_y = values<T>(rows * width, 2), start = values<T>(rows * width, 3);
    std::vector<Vector<T>> y{zeros<T>(rows * width)};
    const auto forward = [&]<class K>(auto& backend, auto& out) {
      K::softmax(backend, rows, width, x.data(), out[0].data());
    };
    verify<T>(y, "softmax", forward, 4);
    Reference reference;
    forward.template operator()<Host>(reference, y);
    for (const bool accumulate : {false, true})
      verify<T>(
          {start}, "softmax backward",
          [&]<class K>(auto& backend, auto& d) {
            K::softmax_backward(backend, rows, width, d_y.data(), y[0].data(), d[0].data(), accumulate);
          },
          4);
    Vector<int> labels;
    for (Index r = 0; r < rows; ++r) labels.push_back(static_cast<int>(r * 7 % width));
    const auto cross_entropy = [&]<class K>(auto& backend, T* probabilities, compute_t<T>* loss) {
      K::cross_entropy(backend, rows, width, x.data(), labels.data(), probabilities, loss);
      finish(backend);
    };
    verify<T>(
        {y[0]}, "cross entropy's probabilities",
        [&]<class K>(auto& backend, auto& out) {
          auto loss = zeros<compute_t<T>>(1);
          cross_entropy.template operator()<K>(backend, out[0].data(), loss.data());
        },
        4);
    verify<compute_t<T>>(
        {zeros<compute_t<T>>(1)}, "cross entropy",
        [&]<class K>(auto& backend, auto& out) {
          auto probabilities = y[0];
          cross_entropy.template operator()<K>(backend, probabilities.data(), out[0].data());
        },
        4);
    const auto d_loss = values<compute_t<T>>(1, 2);
    for (const bool accumulate : {false, true})
      verify<T>(
          {start}, "cross entropy backward",
          [&]<class K>(auto& backend, auto& d) {
            K::cross_entropy_backward(backend, rows, width, d_loss.data(), y[0].data(), labels.data(), d[0].data(),
                                      accumulate);
          },
          4);
  }
}

TEST_CASE_TEMPLATE("column sums and embedding", T, float, double, bf16) {
  for (const auto& size_of : {std::array<Index, 2>{1, 1}, {7, 33}, {200, 70}, {65, 129}, {700, 5}, {1000, 24}}) {
    const Index rows = size_of[0], cols = size_of[1];
    const auto x = values<T>(rows * cols, 1);
    verify<T>(
        {values<T>(cols, 2)}, "column_sum",
        [&]<class K>(auto& backend, auto& out) { K::column_sum(backend, rows, cols, x.data(), out[0].data()); }, 4);
  }
  const auto table = values<T>(5 * 19, 3), d_y = values<T>(4 * 19, 4);
  const int labels[] = {2, 0, 2, 4};
  verify<T>({zeros<T>(4 * 19)}, "embedding", [&]<class K>(auto& backend, auto& out) {
    K::embedding(backend, 4, 19, table.data(), labels, out[0].data());
  });
  verify<T>({zeros<T>(19)}, "embedding of one", [&]<class K>(auto& backend, auto& out) { K::embedding(backend, 1, 19, table.data(), labels, out[0].data()); });
  verify<T>({table}, "embedding backward of one",
            [&]<class K>(auto& backend, auto& out) { K::embedding_backward(backend, 1, 19, d_y.data(), labels, out[0].data()); });
  verify<T>({table}, "embedding backward", [&]<class K>(auto& backend, auto& out) {
    K::embedding_backward(backend, 4, 19, d_y.data(), labels, out[0].data());
  });
}
