// libFuzzer: clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/safetensors.cpp
#include <sfumato/io/safetensors.hpp>

#include <cstdint>
#include <cstdlib>
#include <vector>

using namespace sfumato::io;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto file = SafetensorsFile::parse(std::as_bytes(std::span(data, size)), "fuzz");
    std::size_t total = 0;
    for (const std::string& name : file.names()) {
      const TensorInfo& tensor = file.at(name);
      total += tensor.bytes.size();
      std::vector<float> values(static_cast<std::size_t>(tensor.size()));
      try {
        file.read<float>(tensor, values);
      } catch (const sfumato::Error&) {  // an integer dtype
      }
    }
    if (total > size) std::abort();
  } catch (const sfumato::Error&) {
  }
  return 0;
}
