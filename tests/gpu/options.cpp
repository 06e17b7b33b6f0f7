// Options of the backend that mean something on a real GPU alone.
#include "check_error.hpp"
#include "cuda/tested.hpp"

#include <sfumato/tensor/tensor.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace sfumato;
using backend::Cuda;
using backend::CudaOptions;

namespace {

constexpr Index n = 256;

/// A product of random matrices.
std::vector<float> product(const CudaOptions& options) {
  Cuda gpu(options);
  Array<Cuda, float> a(gpu, n * n), b(gpu, n * n), c(gpu, n * n);
  using K = Kernels<Cuda>;
  K::normal(gpu, Random{.seed = 1}, 0, n * n, 1.0, a.data());
  K::normal(gpu, Random{.seed = 2}, 0, n * n, 1.0, b.data());
  const Array<Cuda, float>&in_a = a, &in_b = b;
  K::matmul(gpu, {.m = n, .n = n, .k = n, .a_row = n, .a_col = 1, .b_row = n, .b_col = 1, .c_row = n}, in_a.data(), in_b.data(), c.data(), false,
            static_cast<const float*>(nullptr), Activation::none);
  std::vector<float> out(static_cast<std::size_t>(n * n));
  c.download(out);
  return out;
}

}  // namespace

TEST_CASE("a stream of the user's is worked in, and left to the user") {
  cudaStream_t stream = nullptr;
  REQUIRE(cudaStreamCreate(&stream) == cudaSuccess);
  CHECK(product({.stream = stream}) == product({}));
  CHECK(cudaStreamQuery(stream) == cudaSuccess);
  cudaStreamDestroy(stream);
}

TEST_CASE("TF32 is on request: ten bits of mantissa, where f32 has its own") {
  const std::vector<float> exact = product({}), rounded = product({.tf32 = backend::Tf32::on});
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) difference += std::pow(exact[i] - rounded[i], 2), size += std::pow(exact[i], 2);
  CHECK(std::sqrt(difference / size) > 1e-5);
  CHECK(std::sqrt(difference / size) < 2e-3);
}

TEST_CASE("a device that there is not") {
  check_error([] { Cuda({.device = 1000}); }, "cuda-device", {"1000"});
}
