// Parameters and multiply-adds of Stable Diffusion's autoencoder, and of REG's teacher.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/models/autoencoder_kl.hpp>
#include <sfumato/models/vision_encoder.hpp>

namespace {

using namespace sfumato;
using VAE = StableDiffusionVAE<>;

static_assert(parameter_count<VAE>() == 83'653'863);
static_assert(parameter_count<VAE::Encode>() == 34'163'592 + 72 && parameter_count<VAE::Decode>() == 49'490'179 + 20);
static_assert(VAE::factor == 8 && VAE::latent_size == 32 && StableDiffusionVAE<512>::latent_size == 64);
constexpr Index tensors = [] {
  VAE model{};
  Index count = 0;
  for_each_parameter(model, [&](auto&) { ++count; });
  return count;
}();
static_assert(tensors == 248);

// By hand: a convolution of 3 x 3 at a side, a residual block, the middle.
constexpr Index conv(Index side, Index in, Index out) { return side * side * 9 * in * out; }
constexpr Index block(Index side, Index in, Index out) { return conv(side, in, out) + conv(side, out, out) + (in == out ? 0 : side * side * in * out); }
constexpr Index middle(Index side, Index width) { return 2 * block(side, width, width) + 4 * side * side * width * width + 2 * side * side * side * side * width; }
constexpr Index decoder = 32 * 32 * 16 + conv(32, 4, 512) + middle(32, 512) + 3 * block(32, 512, 512) + conv(64, 512, 512) + 3 * block(64, 512, 512) + conv(128, 512, 512) + block(128, 512, 256) +
                          2 * block(128, 256, 256) + conv(256, 256, 256) + block(256, 256, 128) + 2 * block(256, 128, 128) + conv(256, 128, 3);
static_assert(cost_of<VAE::Decode>(1).macs == decoder && decoder > 311'000'000'000 && decoder < 311'200'000'000);
constexpr Index encoder = conv(256, 3, 128) + 2 * block(256, 128, 128) + conv(128, 128, 128) + block(128, 128, 256) + block(128, 256, 256) + conv(64, 256, 256) + block(64, 256, 512) + block(64, 512, 512) +
                          conv(32, 512, 512) + 2 * block(32, 512, 512) + middle(32, 512) + conv(32, 512, 8) + 32 * 32 * 64;
static_assert(cost_of<VAE::Encode>(1).macs == encoder);

// The published file has a mask token too.
static_assert(parameter_count<DINOv2Teacher_B<>>() == 86'580'480 - 768);
static_assert(DINOv2Teacher_B<>::tokens == 256 && DINOv2Teacher_B<448>::tokens == 1024 && DINOv2Teacher_B<>::prefix == 1);

}  // namespace
