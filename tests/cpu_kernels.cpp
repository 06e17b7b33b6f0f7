// The vector kernels of the CPU backend, which the unit tests only declare.
#include <sfumato/backend/cpu/simd.hpp>
