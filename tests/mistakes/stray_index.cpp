// mistake: einsum-index.*'m', 0, 1, 0|'m', 0, 1, 0.*einsum-index|einsum-index.*Letter='m', InLeft=0, InRight=1, InOutput=0
// An index of the output that no operand has, and an operand's that the output lacks.
#include <sfumato/sfumato.hpp>

using namespace sfumato;

#ifdef SFUMATO_MISTAKE
#define SUBSCRIPTS "b n d, d m -> b n k"
#else
#define SUBSCRIPTS "b n d, d m -> b n m"
#endif

struct Project {
  Param<Shape<64, 32>> weight;

  static constexpr void parameters(auto& self, auto&& visit) { visit("weight", self.weight); }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const { return ops::einsum<SUBSCRIPTS>(ctx, x, weight); }
};

int main() {
  backend::Cpu cpu;
  Workspace workspace(cpu);
  Weights<Project, backend::Cpu> weights(cpu, 1);
  Run<backend::Cpu> run(workspace, weights.values());
  weights.model()(run, ops::normal<Shape<dynamic, 16, 64>>(run, 8, Random{.seed = 1}));
}
