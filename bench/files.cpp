// Reading files: a safetensors file of 128 MiB, and Fashion-MNIST where Debian puts it. An operation is a value converted from
// the file's form to memory's, on one thread; unpacking is not counted.
#include "ceiling.hpp"

#include <sfumato/io/dataset.hpp>
#include <sfumato/io/safetensors.hpp>

using namespace sfumato;

namespace {

void read_safetensors(benchmark::State& state) {
  const auto path = std::filesystem::temp_directory_path() / "sfumato_bench.safetensors";
  auto values = bench::numbers(Index{1} << 25);
  const std::array tensors{io::TensorToWrite{"weight", io::Dtype::f32, {Index(values.size())}, values.data()}};
  io::write_safetensors(path, tensors);
  for (auto _ : state) {
    const io::SafetensorsFile file(path);
    file.read<float>(file.at("weight"), values);
  }
  bench::report_bytes(state, 4.0 * double(values.size()), double(values.size()), 1);
  std::filesystem::remove(path);
}
BENCHMARK(read_safetensors)->Unit(benchmark::kMillisecond)->UseRealTime();

void read_fashion_mnist(benchmark::State& state) {
  const std::filesystem::path folder = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(folder)) return state.SkipWithError("Fashion-MNIST is not installed");
  for (auto _ : state) benchmark::DoNotOptimize(io::load_fashion_mnist(folder, io::Split::train).size());
  constexpr double pixels = 60000.0 * 784;
  bench::report_bytes(state, pixels, pixels, 1);
}
BENCHMARK(read_fashion_mnist)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
