// The derivative that gradients are held against.
#pragma once

#include <utility>

/// (loss() at x + step - loss() at x - step) / (2 step); x is what it was.
template <class Loss> double central_difference(double& x, const Loss& loss, double step = 1e-5) {
  const double at = std::exchange(x, x + step), above = loss();
  x = at - step;
  const double below = loss();
  x = at;
  return (above - below) / (2 * step);
}
