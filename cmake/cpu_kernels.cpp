// The vector kernels of the CPU backend, which unit tests and examples only declare.
#include <sfumato/backend/cpu/simd.hpp>
