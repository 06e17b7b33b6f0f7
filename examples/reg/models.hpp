// The systems that this program knows by name: an autoencoder, a teacher, a diffusion model on the one's latents that the other guides.
#pragma once

#include "../common/fashion_encoder.hpp"
#include "../common/named.hpp"

#include <sfumato/models/autoencoder_kl.hpp>
#include <sfumato/models/sit.hpp>
#include <sfumato/train/official_names.hpp>
#include <sfumato/train/sit_objective.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <string>
#include <system_error>

namespace example {

/// Fashion-MNIST with two rows and columns of background around it: 32 x 32 pixels to 8 x 8 latents of four channels.
using FashionVAE = sfumato::AutoencoderKL<32, 1, 4, sfumato::Stages<16, 32, 64>, 1, 8>;
using FashionTrunk = sfumato::SiTTrunk<192, 6, 6>;
using FashionLatent = sfumato::ImagePatches<8, 4, 2, 10>;
/// Patches of two latents are the teacher's 4 x 4. Its tokens are 128 wide, which a trunk of 192 carries.
using FashionREG = sfumato::SiT<FashionLatent, FashionTrunk, sfumato::ClassToken<FashionEncoder::width>, sfumato::Alignment<3, FashionEncoder::width, 256>>;
using FashionREPA = sfumato::SiT<FashionLatent, FashionTrunk, sfumato::Alignment<3, FashionEncoder::width, 256>>;
using FashionSiT = sfumato::SiT<FashionLatent, FashionTrunk>;

/// Images of `Side` pixels; the autoencoder's are as large or larger, and the rest is background.
template <class Autoencoder, class TeacherModel, class DiffusionModel, int Side> struct System {
  using VAE = Autoencoder;
  using Teacher = TeacherModel;
  using Model = DiffusionModel;
  using Objective = sfumato::SiTObjective<Teacher>;
  using Image = sfumato::Shape<sfumato::dynamic, VAE::channels, Side, Side>;
  static constexpr int side = Side, channels = VAE::channels, classes = Model::classes, border = (VAE::size - Side) / 2;
  static constexpr bool official = Side > 64;
};
using Fashion = System<FashionVAE, FashionEncoder, FashionREG, 28>;
template <class Model> using ImageNet = System<sfumato::StableDiffusionVAE<>, sfumato::DINOv2Teacher_B<>, Model, 256>;

/// Calls `visit.template operator()<System>(name)` for every known system.
inline constexpr auto for_each_system = [](auto&& visit) {
  using namespace sfumato;
  visit.template operator()<Fashion>("fashion");
  visit.template operator()<ImageNet<REG_B_2<>>>("SiT-B/2+REG");
  visit.template operator()<ImageNet<REG_L_2<>>>("SiT-L/2+REG");
  visit.template operator()<ImageNet<REG_XL_2<>>>("SiT-XL/2+REG");
  visit.template operator()<ImageNet<REPA<ImageNetLatents<>, SiTTrunk<1152, 28, 16>, 8, 768>>>("SiT-XL/2+REPA");
};
/// Calls `body.template operator()<System>()` for the one called `name`. Throws Error("model") with the known names.
template <class Body> void with_system(const std::string& name, Body&& body) { with_named(for_each_system, "system", name, body); }

/// An autoencoder's weights, by any of the names that they are published under.
template <class VAE, class B, class E> void load_vae(const std::string& path, sfumato::Weights<VAE, B, E>& weights) {
  const std::array layouts{sfumato::older_vae_names(), sfumato::compvis_vae_names()};
  sfumato::load_weights(path, weights, std::span<const sfumato::NameTable>(layouts));
}
template <class Teacher, class B, class E> void load_teacher(const std::string& path, sfumato::Weights<Teacher, B, E>& weights) {
  const std::array layouts{sfumato::dinov2_names(), sfumato::dinov2_release_names()};
  sfumato::load_weights(path, weights, std::span<const sfumato::NameTable>(layouts));
}

template <class E> std::string element_name() { return std::string(sfumato::io::dtype_name(sfumato::detail::dtype_of<E>())); }
/// What tells one autoencoder's latents from another's: the squared norm of its encoder, which decoders trained anew leave as it is.
template <class VAE, class B, class E> std::string latents_of(const sfumato::Weights<VAE, B, E>& vae) {
  double norm = 0;
  for (const auto& p : sfumato::parameter_table(vae.model()))
    if (p.name.starts_with("encoder.") || p.name.starts_with("quant_conv.")) norm += sfumato::Kernels<B>::squared_norm(vae.values().backend(), p.size, vae.data() + p.offset);
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, norm, std::chars_format::scientific, 9).ptr};
}
/// Throws Error("other-latents") where a file says, in the same elements, and says otherwise.
template <class VAE, class B, class E> void require_latents(const std::map<std::string, std::string>& metadata, const std::string& path, const sfumato::Weights<VAE, B, E>& vae, const char* of) {
  const auto found = metadata.find("objective.latents"), element = metadata.find("element");
  if (found == metadata.end() || element == metadata.end() || element->second != element_name<E>()) return;
  const std::string expected = latents_of(vae);
  sfumato::check(found->second == expected, "other-latents", path, " is of an autoencoder whose encoder has the squared norm ", sfumato::io::detail::printable(found->second), ", expected that of ", of, ", ", expected);
}

/// A latents' scale as files have it.
inline double number_of(const std::string& digits, const std::string& path) {
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  sfumato::check(error == std::errc{} && end == digits.data() + digits.size(), "latents-file", path, " has a latent scale of '", sfumato::io::detail::printable(digits), "', expected a number");
  return value;
}
/// What `prepare` wrote of its latents beside them: their scale, and whose they are.
template <class Objective> void read_latents(const sfumato::io::SafetensorsFile& file, Objective& objective) {
  using sfumato::check;
  const auto said = [&](const char* name) {
    const auto found = file.metadata().find(name);
    check(found != file.metadata().end(), "latents-file", file.name(), " has no metadata \"", name, "\": it is not of reg prepare");
    return found->second;
  };
  objective.latents = said("objective.latents");
  objective.teacher = said("objective.teacher");
  objective.latent_scale = number_of(said("latent_scale"), file.name());
}

/// The latents of samples; a class token is dropped.
template <class Model, class Ctx, class Z> auto latent_part(Ctx& ctx, const Z& z) {
  if constexpr (!Model::entangled) return z;
  else return sfumato::ops::reshape<typename Model::LatentShape>(ctx, sfumato::ops::slice<1, 0, int(Model::LatentShape::row)>(ctx, z));
}

/// Images as an autoencoder takes them: with `border` rows and columns of background on every side.
template <class Source, int Channels, int Side, int Border> struct Bordered {
  const Source* source;

  sfumato::Index size() const { return source->size(); }
  template <sfumato::IsShape S> void require_shape() const {
    static_assert(std::is_same_v<S, sfumato::Shape<sfumato::dynamic, Channels, Side + 2 * Border, Side + 2 * Border>>);
    source->template require_shape<sfumato::Shape<sfumato::dynamic, Channels, Side, Side>>();
  }
  template <class E> int load(sfumato::Index i, bool flip, E* out) const {
    if constexpr (Border == 0) {
      return source->load(i, flip, out);
    } else {
      constexpr int whole = Side + 2 * Border;
      std::array<E, std::size_t(Channels * Side * Side)> image;
      const int label = source->load(i, flip, image.data());
      std::fill(out, out + Channels * whole * whole, E(-1.0f));
      for (int row = 0; row < Channels * Side; ++row)
        std::copy_n(image.data() + row * Side, Side, out + (row / Side * whole + Border + row % Side) * whole + Border);
      return label;
    }
  }
};
template <class S, class Source> Bordered<Source, S::channels, S::side, S::border> bordered(const Source& source) { return {&source}; }
/// And back.
template <class S, class Ctx, class X> auto without_border(Ctx& ctx, const X& images) {
  if constexpr (S::border == 0) return images;
  else return sfumato::ops::slice<3, S::border, S::border + S::side>(ctx, sfumato::ops::slice<2, S::border, S::border + S::side>(ctx, images));
}

}  // namespace example
