// mistake: inner-extent.*256 == 128|256 == 128.*inner-extent|inner-extent.*Inner=256, OtherInner=128
// Two layers that do not fit: 256 channels into a layer of 128.
#include <sfumato/sfumato.hpp>

using namespace sfumato;

#ifdef SFUMATO_MISTAKE
constexpr int hidden = 128;
#else
constexpr int hidden = 256;
#endif

struct Mlp {
  layer::Linear<64, 256> up;
  layer::Linear<hidden, 64> down;

  static constexpr void parameters(auto& self, auto&& visit) {
    visit("up", self.up);
    visit("down", self.down);
  }
  template <class Ctx, AnyValue X> constexpr auto operator()(Ctx& ctx, const X& x) const { return down(ctx, up(ctx, x, Activation::silu)); }
};

int main() {
  backend::Cpu cpu;
  Workspace workspace(cpu);
  Weights<Mlp, backend::Cpu> weights(cpu, 1);
  Run<backend::Cpu> run(workspace, weights.values());
  weights.model()(run, ops::normal<Shape<dynamic, 16, 64>>(run, 8, Random{.seed = 1}));
}
