// mistake: block-range.*6 <= 4|6 <= 4.*block-range|block-range.* Last=6.* Depth=4
// A look at the tokens behind block 6 of 4.
#include <sfumato/sfumato.hpp>

using namespace sfumato;

#ifdef SFUMATO_MISTAKE
constexpr int aligned_after = 6;
#else
constexpr int aligned_after = 2;
#endif

/// Features of an early block, as an alignment loss takes them.
struct Tapped {
  Transformer<64, 4, RMSNorm, SwiGLU> trunk;

  static constexpr void parameters(auto& self, auto&& visit) { visit("", self.trunk); }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const {
    return trunk.template blocks_between<0, aligned_after>(ctx, x, None{});
  }
};

int main() {
  backend::Cpu cpu;
  Workspace workspace(cpu);
  Weights<Tapped, backend::Cpu> weights(cpu, 1);
  Run<backend::Cpu> run(workspace, weights.values());
  weights.model()(run, ops::normal<Shape<dynamic, 16, 64>>(run, 2, Random{.seed = 1}));
}
