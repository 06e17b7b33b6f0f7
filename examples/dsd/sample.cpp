// dsd sample: images from noise, denoised and painted by one network.
#include "../common/samples.hpp"
#include "commands.hpp"
#include "models.hpp"

#include <sfumato/flow/objective.hpp>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : SampleArguments {
  std::string model = "fashion", weights, by = "velocity", solver = "heun";
};

template <class S> void draw(const Arguments& a) {
  using Model = typename S::Model;
  check(a.by == "velocity" || a.by == "clean", "sampler-options", "--by is velocity or clean, found '", a.by, "'");
  check(a.solver == "euler" || a.solver == "heun", "sampler-options", "--solver is euler or heun, found '", a.solver, "'");
  DrawnImages drawn(a, S::side, S::channels, Model::classes, !S::official);
  on_device(a, [&]<class E>(auto& device) {
    using B = std::remove_reference_t<decltype(device)>;
    Weights<Model, B, E> weights(device);
    load_weights(a.weights, weights);
    Workspace<B> workspace(device);
    Run<B, E> run(workspace, weights.values());
    const Model& model = weights.model();
    drawn.draw([&](std::span<const int> labels, Index first, const auto& show, std::vector<float>& images) {
      const auto latents = [&]<class Method>(const auto& predictor, const auto& objective) {
        return sample<typename Model::LatentShape, Method, UniformGrid>(run, predictor, objective, labels, a.seed, first, a.sampler, show);
      };
      const auto by = [&](const auto& predictor, const auto& objective) {
        return a.solver == "heun" ? latents.template operator()<Heun>(predictor, objective) : latents.template operator()<Euler>(predictor, objective);
      };
      const auto z = a.by == "velocity" ? by(VelocityOf{model}, FlowObjective<Space::v>{}) : by(model, FlowObjective<Space::x>{});
      const auto x = model.decode(run, z);
      images.resize(std::size_t(x.size()));
      ops::output(run, x, std::span(images));
    });
  });
  drawn.finish(text("by ", a.by, ", ", a.sampler.steps, " steps of ", a.solver, ", guidance ", decimals(a.sampler.guidance)));
}

}  // namespace

void add_sample(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("sample", "draw images from noise");
  add_model_option(*command, a->model);
  add_weights_option(*command, a->weights);
  command->add_option("--by", a->by, "velocity: the velocity head; clean: the prediction of the clean latent")->capture_default_str();
  command->add_option("--solver", a->solver, "euler or heun")->capture_default_str();
  command->add_option("--steps", a->sampler.steps)->capture_default_str();
  add_sample_options(*command, *a);
  command->callback([a] { with_system(a->model, [&]<class S>() { draw<S>(*a); }); });
}

}  // namespace example
