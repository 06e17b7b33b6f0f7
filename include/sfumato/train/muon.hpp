// Muon (Jordan et al. 2024): momentum made orthogonal, for matrices; another optimiser for the rest.
#pragma once

#include <sfumato/train/optimiser.hpp>

#include <algorithm>
#include <string>

SFUMATO_BEGIN

/// Muon on matrices, `Other` on all else. Updates are scaled by 0.2 sqrt(max(rows, columns)), so that both share a learning
/// rate (Liu et al. 2025, "Muon is scalable for LLM training", equation 4).
template <Optimiser Other = AdamW> struct Muon {
  /// A buffer of its own, then Other's: what one optimiser kept must not be taken for what another keeps.
  static constexpr auto state = [] {
    std::array<const char*, Other::state.size() + 1> names{"momentum"};
    std::copy(Other::state.begin(), Other::state.end(), names.begin() + 1);
    return names;
  }();

  double momentum = 0.95;  ///< Nesterov's
  int iterations = 5;      ///< of Newton-Schulz
  double weight_decay = 0;
  Other other = {};

  /// The parameters that are matrices: those that decay. Convolutions count as (out, in).
  static bool takes(const ParameterInfo& p) { return p.decays; }

  template <class Visit> void for_each_option(Visit&& visit) const {
    visit("optimizer", "muon");
    visit("optimizer.momentum", momentum);
    visit("optimizer.iterations", iterations);
    visit("optimizer.weight_decay", weight_decay);
    other.for_each_option([&](const std::string& name, const auto& value) { visit(("optimizer.other." + name).c_str(), value); });
  }
  /// Throws Error("optimiser-options") for values that mean nothing.
  void validate() const {
    other.validate();
    check(momentum >= 0 && momentum < 1, "optimiser-options", "momentum must be in [0, 1), found ", momentum);
    check(iterations > 0, "optimiser-options", "iterations must be positive, found ", iterations);
    check(std::isfinite(weight_decay) && weight_decay >= 0, "optimiser-options", "weight_decay must be finite and not negative, found ", weight_decay);
  }

  template <class B, class E> void update(const OptimiserStep<B, E>& s) const {
    s.divide(takes, [&](const ParameterInfo& p) { update_matrix(s, p); }, other, s.state.subspan(1));
  }

 private:
  template <class B, class E> void update_matrix(const OptimiserStep<B, E>& s, const ParameterInfo& p) const {
    const Index rows = p.shape[0], columns = p.size / rows, n = p.size;
    const auto buffer = s.scratch(n);
    E* const direction = static_cast<E*>(buffer.data());
    E* const moment = s.state[0] + p.offset;
    E* const weight = s.weights + p.offset;
    const E* const gradient = s.gradients + p.offset;
    const auto combine = [&](double alpha, const E* x, double beta, const E* y, E* out) {
      Kernels<B>::linear_combination(s.device(), Index{1}, n, &alpha, x, &beta, y, out, false);
    };
    combine(momentum, moment, s.gradient_scale, gradient, moment);
    combine(momentum, moment, s.gradient_scale, gradient, direction);
    orthogonalise(s, rows, columns, direction);
    const double scale = 0.2 * std::sqrt(double(std::max(rows, columns)));
    combine(1 - s.rate * weight_decay, weight, -s.rate * scale, direction, weight);
    s.average(p.offset, n);
  }

  /// x (rows, columns) to nearly U V^T of its singular value decomposition: x <- a x + (b A + c A^2) x, A = x x^T, on the short side.
  template <class B, class E> void orthogonalise(const OptimiserStep<B, E>& s, Index rows, Index columns, E* x) const {
    using K = Kernels<B>;
    B& device = s.device();
    const bool wide = rows <= columns;
    const Index n = rows * columns, side = std::min(rows, columns), length = std::max(rows, columns);
    const Index row = wide ? columns : 1, column = wide ? 1 : columns;  // of x with its short side in front
    const auto gram_buffer = s.scratch(side * side), polynomial_buffer = s.scratch(side * side), product_buffer = s.scratch(n);
    E* const gram = static_cast<E*>(gram_buffer.data());
    E* const polynomial = static_cast<E*>(polynomial_buffer.data());
    E* const product = static_cast<E*>(product_buffer.data());
    const auto combine = [&](Index count, double alpha, const E* p, double beta, const E* q, E* out) {
      K::linear_combination(device, Index{1}, count, &alpha, p, &beta, q, out, false);
    };
    const auto multiply = [&](const MatmulShape& shape, const E* p, const E* q, E* out) {
      K::matmul(device, shape, p, q, out, false, static_cast<const E*>(nullptr), Activation::none);
    };
    constexpr double a = 3.4445, b = -4.7750, c = 2.0315;
    combine(n, 1 / (std::sqrt(K::squared_norm(device, n, static_cast<const E*>(x))) + 1e-7), x, 0, x, x);
    for (int i = 0; i < iterations; ++i) {
      multiply({.m = side, .n = side, .k = length, .a_row = row, .a_col = column, .b_row = column, .b_col = row, .c_row = side}, x, x, gram);
      const MatmulShape square{.m = side, .n = side, .k = side, .a_row = side, .a_col = 1, .b_row = side, .b_col = 1, .c_row = side};
      multiply(square, gram, gram, polynomial);
      combine(side * side, b, gram, c, polynomial, polynomial);
      if (wide)
        multiply({.m = side, .n = length, .k = side, .a_row = side, .a_col = 1, .b_row = length, .b_col = 1, .c_row = length}, polynomial, x, product);
      else multiply({.m = length, .n = side, .k = side, .a_row = side, .a_col = 1, .b_row = side, .b_col = 1, .c_row = side}, x, polynomial, product);
      combine(n, a, x, 1, product, x);
    }
  }
};

SFUMATO_END
