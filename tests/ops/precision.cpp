// The library's cases in f32 and bf16.
#include "ops/generated.hpp"

SFUMATO_TEST_OP_PRECISION(Cases)
