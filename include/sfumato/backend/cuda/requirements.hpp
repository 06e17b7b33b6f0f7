// What a program needs of a machine: a device, a driver that is new enough, code for the device.
#pragma once

#include <sfumato/backend/cuda/status.hpp>

#include <string>

SFUMATO_BEGIN
namespace backend::cuda {

/// What the CUDA runtime says of the machine; versions as it counts them, 13000 for 13.0.
struct Machine {
  Status status = nullptr;  ///< of counting the devices
  int devices = 0;
  int driver = 0, runtime = 0;
};
inline std::string version_text(int version) { return text(version / 1000, ".", version % 1000 / 10); }

/// Throws Error("cuda-device") unless device `wanted` can be had.
inline void check_machine(const Machine& m, int wanted) {
  check(m.driver > 0, "cuda-device", "this machine has no NVIDIA driver (", m.status != nullptr ? m.status : "no version", "); the CPU backend needs none");
  check(m.driver / 1000 >= m.runtime / 1000, "cuda-device", "the NVIDIA driver is for CUDA ", version_text(m.driver), ", this program for ", version_text(m.runtime),
        ": a newer driver is needed");
  check(m.status == nullptr, "cuda-device", "the devices cannot be counted: ", m.status != nullptr ? m.status : "");
  check(wanted >= 0 && wanted < m.devices, "cuda-device", "device ", wanted, " was asked for, found ", m.devices, m.devices == 1 ? " device" : " devices");
}

/// Throws Error("cuda-device") unless `status`, of looking for a kernel's code for the device, is a success.
inline void check_code(Status status, int device, const char* device_name, int capability, const std::string& built) {
  check_status(status, "cuda-device", "device ", device, " (", device_name, ", compute capability ", capability / 10, ".", capability % 10,
               ") cannot run this program, which was built for ", built);
}

}  // namespace backend::cuda
SFUMATO_END
