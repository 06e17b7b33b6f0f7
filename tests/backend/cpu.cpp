// The Cpu object itself.
#include "support.hpp"

#include <cstdlib>
#include <type_traits>
#include <utility>

using namespace test;

TEST_CASE("the number of threads and the instruction set are what was asked for") {
  CHECK(Cpu(3).threads() == 3);
  CHECK(Cpu().threads() >= 1);
  try {
    Cpu cpu(-1);
    FAIL("a negative number of threads was accepted");
  } catch (const Error& error) {
    CHECK(error.id() == "threads");
  }
  CHECK(Cpu(1, SimdLevel::baseline).simd_level() == SimdLevel::baseline);
  CHECK(Cpu(1, SimdLevel::avx512).simd_level() == backend::machine_simd_level());
}

TEST_CASE("SFUMATO_SIMD lowers the instruction set and is checked") {
  const char* const before = std::getenv("SFUMATO_SIMD");
  const std::string saved = before != nullptr ? before : "";
  setenv("SFUMATO_SIMD", "baseline", 1);
  CHECK(Cpu(1).simd_level() == SimdLevel::baseline);
  setenv("SFUMATO_SIMD", "sse9", 1);
  CHECK_THROWS_AS(Cpu(1), Error);
  setenv("SFUMATO_SIMD", saved.c_str(), 1);
}

TEST_CASE("scratch memory grows once and moves with the object") {
  static_assert(!std::is_copy_constructible_v<Cpu> && std::is_nothrow_move_constructible_v<Cpu>);
  Cpu cpu(2);
  CHECK(cpu.workspace_bytes() == 0);
  const auto a = values<float>(100 * 50, 1), b = values<float>(50 * 70, 2);
  std::vector<float> c(100 * 70);
  const auto product = [&](Cpu& backend) {
    Fast::matmul(backend, MatmulShape{100, 70, 50, 50, 1, 70, 1, 70}, a.data(), b.data(), c.data(), false, nullptr,
                 Activation::none);
  };
  product(cpu);
  const std::size_t bytes = cpu.workspace_bytes();
  CHECK(bytes > 0);
  product(cpu);
  CHECK(cpu.workspace_bytes() == bytes);
  Cpu moved = std::move(cpu);
  CHECK(moved.workspace_bytes() == bytes);
  product(moved);
}

TEST_CASE("impossible allocations name themselves") {
  Cpu cpu(1);
  for (const Index n : {Index{-1}, Index{1} << 62}) {
    try {
      Fast::deallocate(cpu, Fast::allocate<float>(cpu, n));
      FAIL("allocated " << n << " elements");
    } catch (const Error& error) {
      CHECK(error.id() == "out-of-memory");
    }
  }
  float* const x = Fast::allocate<float>(cpu, 5);
  CHECK(reinterpret_cast<std::uintptr_t>(x) % 64 == 0);
  Fast::deallocate(cpu, x);
}
