// An activation of one's own, squared ReLU (So et al. 2021): one struct, and one line that lists its test.
#include "ops/generated.hpp"

#include <sfumato/nn/transformer.hpp>

namespace {

struct SquaredReLU {
  template <class T> static SFUMATO_HD T value(T x) { return x > 0 ? x * x : T(0); }
  template <class T> static SFUMATO_HD T derivative(T x) { return x > 0 ? 2 * x : T(0); }
};

using SquaredReLUCases = std::tuple<Activate<SquaredReLU{}>, LinearMap<true, SquaredReLU{}>>;

// As the activation of a Transformer it costs what the others do.
template <class Act> using Trunk = Transformer<64, 2, RMSNorm, Act>;
constexpr Cost cost = cost_of<Trunk<PlainMlp<SquaredReLU{}>>, Shape<dynamic, 16, 64>>(1), relu = cost_of<Trunk<ReLU>, Shape<dynamic, 16, 64>>(1);
static_assert(cost.macs == relu.macs && cost.saved == relu.saved && cost.parameters == relu.parameters);

}  // namespace

SFUMATO_TEST_OPS(SquaredReLUCases)
