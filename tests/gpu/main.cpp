// Tests on a GPU; where there is none, they say how many they are.
#define DOCTEST_CONFIG_IMPLEMENT
#include "cuda/tested.hpp"

#include <doctest/doctest.h>

#include <iostream>

int main(int argc, char** argv) {
  doctest::Context context(argc, argv);
  int devices = 0, driver = 0;
  const cudaError_t found = cudaGetDeviceCount(&devices);
  cudaDriverGetVersion(&driver);
  if (driver == 0 || found == cudaErrorNoDevice || devices == 0) {  // whatever else is wrong is an error
    context.setOption("count", true);
    context.run();
    std::cout << "SKIPPED, all of these: no GPU (" << cudaGetErrorString(found) << ")" << std::endl;
    return 77;
  }
  cuda_test::Device device;
  std::cout << device.api().properties().name << std::endl;
  return context.run();
}
