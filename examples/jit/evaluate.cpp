// jit evaluate: guided and unguided samples of the Fashion-MNIST model, scored by the bundled classifier.
#include "../common/fashion_score.hpp"
#include "commands.hpp"
#include "sampling.hpp"

#include <sstream>

namespace example {
namespace {

using namespace sfumato;

struct Arguments : SamplingArguments {
  int per_class = 50;
  double guidance = 2;
  std::string data, classifier = bundled_classifier, report;
};

void evaluate(Arguments a) {
  const auto real = io::load_fashion_mnist(fashion_or_bundled(a.data), io::Split::test);
  if (!a.report.empty()) require_writable(a.report);  // before the drawing, not after it
  a.sampler.validate();
  backend::Cpu cpu(a.threads);
  FashionScorer scorer(cpu, real, a.classifier);
  std::vector<int> labels;
  for (int label = 0; label < 10; ++label) labels.insert(labels.end(), static_cast<std::size_t>(a.per_class), label);

  std::ostringstream text;
  text.setf(std::ios::fixed);
  text.precision(2);
  text << "classifier on " << real.size() << " real test images: " << 100 * scorer.accuracy() << " % right\n"
       << labels.size() << " samples each, " << a.sampler.steps << (a.euler ? " Euler" : " Heun") << " steps, seed " << a.seed << "\n";
  for (const double guidance : {a.guidance, 1.0}) {
    a.sampler.guidance = guidance;
    std::vector<float> images;
    draw<FashionJiT>(a, labels, [&](std::span<const float> some) { images.insert(images.end(), some.begin(), some.end()); });
    const Score s = scorer.score(images, labels);
    text << (guidance == 1 ? "unguided" : "guided, w = " + sfumato::text(guidance)) << ": "
         << 100 * s.recognised << " % recognised as their label, Frechet distance " << s.frechet << ", precision " << s.precision << ", recall "
         << s.recall << ", inception score " << s.inception << "\n";
  }
  std::printf("%s", text.str().c_str());
  if (!a.report.empty()) write_text(a.report, text.str());
}

}  // namespace

void add_evaluate(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("evaluate", "score samples of the fashion model");
  add_sampling_options(*command, *a);
  command->remove_option(command->get_option("--model"));  // the classifier knows Fashion-MNIST alone
  command->add_option("--guidance", a->guidance, "of the guided samples")->capture_default_str();
  command->add_option("--per-class", a->per_class, "samples per class")->capture_default_str()->check(CLI::Range(1, 100'000));
  command->add_option("--data", a->data, "folder with the test set's IDX files");
  command->add_option("--classifier", a->classifier, "classifier weights")->capture_default_str();
  command->add_option("--report", a->report, "text file to also write the scores to");
  command->callback([a] { evaluate(*a); });
}

}  // namespace example
