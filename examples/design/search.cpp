// The compiler chooses a model: of a grid of designs, the largest that a budget allows. The choice and all its figures are
// constants of this program; running it only prints them.
#include "common/program.hpp"

#include <sfumato/design/budget.hpp>
#include <sfumato/flow/objective.hpp>
#include <sfumato/models/jit.hpp>

#include <cstdio>

namespace {

using namespace sfumato;

/// 64 x 64 colour images in patches of 8: 64 tokens of 192 values, one hundred classes.
using Input = ImagePatches<64, 3, 8, 100>;

/// A JiT of the given width and depth, with heads of 32 channels.
template <int Width, int Depth> using Candidate =
    JiT<Input, Transformer<Width, Depth, RMSNorm, SwiGLU, Heads<Width / 32>, QKNorm, Rotary, AdaLNZero>>;

template <class Model> inline constexpr int depth_of = decltype(Model::trunk)::depth;

/// What to choose from: widths below and above the token's 192 values, deep and shallow.
template <class Objective, Budget limit> using Choice =
    largest_sound_under<Objective, limit, Candidate<128, 6>, Candidate<128, 12>, Candidate<128, 24>, Candidate<128, 36>,
                        Candidate<160, 6>, Candidate<160, 12>, Candidate<160, 24>, Candidate<160, 32>,
                        Candidate<192, 4>, Candidate<192, 8>, Candidate<192, 12>, Candidate<192, 16>, Candidate<256, 4>,
                        Candidate<256, 6>, Candidate<256, 8>, Candidate<256, 12>, Candidate<384, 4>, Candidate<384, 8>,
                        Candidate<512, 4>, Candidate<512, 8>>;

constexpr Index mebibyte = Index{1} << 20;
/// A laptop: half a GiB for training, at a batch of 32.
constexpr Budget laptop{.parameters = 12'000'000, .macs = 600'000'000, .training_bytes = 512 * mebibyte, .batch = 32};
/// A third of the multiply-adds.
constexpr Budget quick{.parameters = 12'000'000, .macs = 200'000'000, .training_bytes = 512 * mebibyte, .batch = 32};
/// Little memory, any amount of arithmetic.
constexpr Budget small_memory{.training_bytes = 256 * mebibyte, .batch = 32};

using X = FlowObjective<Space::x>;
using V = FlowObjective<Space::v>;

// The picks are types, so what follows from them can be asserted.
static_assert(figures_of<Choice<X, laptop>>(laptop.batch).within(laptop));
static_assert(Choice<V, laptop>::path_width >= Choice<V, laptop>::token_dim);
static_assert(figures_of<Choice<X, laptop>>(1).parameters >=
              figures_of<Choice<V, laptop>>(1).parameters);  // x may choose from more

template <class Objective, Budget limit> void print(const char* budget, const char* objective) {
  using Pick = Choice<Objective, limit>;
  static constexpr DesignFigures figures = figures_of<Pick>(limit.batch);
  static constexpr TrainingMemory memory = training_memory<Pick>(limit.batch);
  std::printf("%-13s %-13s %5d %5d %9.2f M %9.1f M %9.1f MiB %9.1f MiB\n", budget, objective, Pick::width,
              depth_of<Pick>, double(figures.parameters) * 1e-6, double(figures.macs) * 1e-6,
              double(figures.training_bytes) / double(mebibyte), double(memory.activations) / double(mebibyte));
}

template <Budget limit> void print_both(const char* budget) {
  print<X, limit>(budget, "x-prediction");
  print<V, limit>(budget, "v-prediction");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Of twenty designs, the largest that a budget allows, as the compiler chose it; there are no options");
  return example::run_program(app, argc, argv, [] {
    std::printf(
        "tokens of %d values; v-prediction needs a width of at least that, x-prediction does not\n\n"
        "budget        objective     width depth  parameters  multiply-adds   training    of it activations\n",
        Input::token_dim);
    print_both<laptop>("laptop");
    print_both<quick>("quick");
    print_both<small_memory>("small memory");
  });
}
