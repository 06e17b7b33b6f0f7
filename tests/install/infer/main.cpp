// Only infers: weights from a safetensors file, images in and out of Eigen matrices without a copy.
#include <sfumato/sfumato.hpp>
#include <sfumato/train/weights_file.hpp>

#include <Eigen/Core>

#include <cstdio>

using namespace sfumato;

using Trunk = Transformer<16, 2, RMSNorm, SwiGLU, Heads<2>, QKNorm, Rotary, AdaLNZero, Context<2, 1>>;
using Model = JiT<ImagePatches<8, 1, 4, 3>, Trunk, Head<Linear>, Bottleneck<8>>;
using Images = Model::ImageShape;  // (batch, 1, 8, 8): channels, rows, columns, in [-1, 1]
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// Somebody else's file.
void make_weights(const char* path) {
  backend::Cpu cpu;
  Weights<Model, backend::Cpu> weights(cpu);
  std::vector<float> numbers(std::size_t(weights.size()));
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = float(0.1 * Random{.seed = 2}.normal(i));
  weights.values().upload(numbers);
  save_weights(path, weights);
}

int main() {
  make_weights("weights.safetensors");

  backend::Cpu cpu;
  Weights<Model, backend::Cpu> weights(cpu);
  load_weights("weights.safetensors", weights);
  Workspace workspace(cpu);
  Run<backend::Cpu> run(workspace, weights.values());

  Matrix noisy = Matrix::Random(2, Images::row);  // an image a row
  const auto z = ops::borrow(run, View<const float, Images, backend::Cpu>{noisy.data(), noisy.rows()});
  const std::vector<double> times{0.2, 0.7};
  const std::vector<int> labels{0, 2};
  const auto x = weights.model()(run, z, times, labels);
  const Eigen::Map<const Matrix> clean(run.data(x), x.batch, Images::row);  // valid as long as x lives

  std::printf("predicted: %td images, mean %.4f, largest %.4f\n", clean.rows(), clean.mean(), clean.cwiseAbs().maxCoeff());
  if (run.data(z) != noisy.data()) return std::puts("the images were copied"), 1;
  return clean.rows() == 2 && clean.allFinite() && clean.cwiseAbs().maxCoeff() > 0 ? 0 : 1;
}
