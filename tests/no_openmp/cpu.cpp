// Compiled without OpenMP: several threads asked for are one, and the work is done all the same.
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>

#include <doctest/doctest.h>

#include <vector>

#if defined(_OPENMP)
#error "this program is meant to be compiled without OpenMP"
#endif

using namespace sfumato;
using backend::Cpu;

TEST_CASE("without OpenMP a loop over several threads covers its range") {
  std::vector<int> seen(1000);
  backend::cpu::parallel_for(4, 1000, 1, [&](Index begin, Index end, int thread) {
    CHECK(thread == 0);
    for (Index i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
  });
  CHECK(seen == std::vector<int>(1000, 1));
}

TEST_CASE("without OpenMP products on four threads are those of one") {
  constexpr Index n = 150;
  std::vector<float> a(n * n), b(n * n), one(n * n), four(n * n);
  const Random random{3};
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(random.uniform(i)), b[i] = static_cast<float>(random.uniform(i + a.size()));
  const auto multiply = [&](int threads, std::vector<float>& c) {
    Cpu cpu(threads);
    Kernels<Cpu>::matmul(cpu, MatmulShape{.m = n, .n = n, .k = n, .a_row = n, .a_col = 1, .b_row = n, .b_col = 1, .c_row = n}, a.data(), b.data(), c.data(),
                         false, static_cast<const float*>(nullptr), Activation::none);
  };
  multiply(1, one);
  multiply(4, four);
  CHECK(one == four);
  backend::Reference plain;
  std::vector<float> expected(n * n);
  Kernels<backend::Reference>::matmul(plain, MatmulShape{.m = n, .n = n, .k = n, .a_row = n, .a_col = 1, .b_row = n, .b_col = 1, .c_row = n}, a.data(), b.data(),
                                      expected.data(), false, static_cast<const float*>(nullptr), Activation::none);
  for (std::size_t i = 0; i < one.size(); ++i) CHECK(one[i] == doctest::Approx(expected[i]).epsilon(1e-5));
}
