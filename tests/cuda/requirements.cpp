// What a machine must have, and what is said of one that has it not.
#include "check_error.hpp"

#include <sfumato/backend/cuda/requirements.hpp>

#include <doctest/doctest.h>

using namespace sfumato;
using backend::cuda::check_code;
using backend::cuda::check_machine;
using backend::cuda::Machine;

TEST_CASE("a machine without a device, or with too old a driver, is told so") {
  const Machine good{nullptr, 2, 13000, 13000};
  CHECK_NOTHROW(check_machine(good, 1));
  CHECK_NOTHROW(check_machine({nullptr, 1, 13020, 13000}, 0));
  CHECK_NOTHROW(check_machine({nullptr, 1, 13000, 13010}, 0));  // within a major version, drivers do
  check_error([] { check_machine({"CUDA driver version is insufficient", 0, 0, 13000}, 0); }, "cuda-device", {"no NVIDIA driver"});
  check_error([] { check_machine({"CUDA driver version is insufficient", 0, 12040, 13000}, 0); }, "cuda-device", {"for CUDA 12.4", "for 13.0"});
  check_error([] { check_machine({"no CUDA-capable device is detected", 0, 13000, 13000}, 0); }, "cuda-device", {"no CUDA-capable device"});
  check_error([] { check_machine({nullptr, 0, 13000, 13000}, 0); }, "cuda-device", {"device 0 was asked for, found 0 devices"});
  check_error([&] { check_machine(good, 2); }, "cuda-device", {"device 2 was asked for, found 2 devices"});
  check_error([&] { check_machine(good, -1); }, "cuda-device", {"device -1"});
}

TEST_CASE("a device that the program has no code for is named, with what there is") {
  CHECK_NOTHROW(check_code(nullptr, 0, "NVIDIA T4", 75, "8.0, 9.0"));
  check_error([] { check_code("no kernel image is available for execution on the device", 0, "NVIDIA T4", 75, "8.0, 8.6, 8.9, 9.0"); }, "cuda-device",
              {"device 0 (NVIDIA T4, compute capability 7.5)", "built for 8.0, 8.6, 8.9, 9.0", "no kernel image"});
}
