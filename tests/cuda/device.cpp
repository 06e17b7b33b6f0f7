// Around the kernels: memory, what is staged, lists that become graphs, errors; and that the emulation sees planted faults.
#include "cuda/play.hpp"
#include "cuda/support.hpp"

#include <algorithm>

using namespace cuda_test;
using backend::cuda::Grid;

namespace {

/// Every thread writes its place and reads its neighbour's, with a barrier between, or not.
template <bool Barrier> struct Neighbour {
  static constexpr const char* name = "neighbour";
  static constexpr int threads = 64;
  float* out;
  template <class Thread> void operator()(Thread& t) const {
    const auto memory = t.template shared<float>(threads);
    memory.set(t.thread(), float(t.thread()));
    if (Barrier) t.sync();
    out[t.thread()] = memory[t.thread() > 0 ? t.thread() - 1 : 0];
  }
};
/// The same inside of a warp.
template <bool Barrier> struct WarpNeighbour {
  static constexpr const char* name = "warp_neighbour";
  static constexpr int threads = 32;
  float* out;
  template <class Thread> void operator()(Thread& t) const {
    const auto memory = t.template shared<float>(threads);
    memory.set(t.thread(), float(t.thread()));
    if (Barrier) t.sync_warp();
    out[t.thread()] = memory[t.thread() > 0 ? t.thread() - 1 : 0];
  }
};
/// A buffer used twice: the second round must wait for the readers of the first.
template <bool Barrier> struct Reuse {
  static constexpr const char* name = "reuse";
  static constexpr int threads = 64;
  float* out;
  template <class Thread> void operator()(Thread& t) const {
    const auto memory = t.template shared<float>(threads);
    float sum = 0;
    for (int round = 0; round < 2; ++round) {
      memory.set(t.thread(), float(t.thread() + round));
      t.sync();
      sum += memory[(t.thread() + 1) % threads];
      if (Barrier) t.sync();
    }
    out[t.thread()] = sum;
  }
};
/// All read a place; the last warp writes it again, ordered after its own lanes alone.
struct WriteAfterRead {
  static constexpr const char* name = "write_after_read";
  static constexpr int threads = 64;
  float* out;
  template <class Thread> void operator()(Thread& t) const {
    const auto memory = t.template shared<float>(1);
    if (t.thread() == 0) memory.set(0, 1);
    t.sync();
    out[t.thread()] = memory[0];
    t.sync_warp();
    if (t.thread() == threads - 1) memory.set(0, 2);
  }
};
struct NeverWritten {
  static constexpr const char* name = "never_written";
  static constexpr int threads = 32;
  float* out;
  template <class Thread> void operator()(Thread& t) const { out[t.thread()] = t.template shared<float>(threads)[t.thread()]; }
};
struct TwoOperations {
  static constexpr const char* name = "two_operations";
  static constexpr int threads = 32;
  float* out;
  template <class Thread> void operator()(Thread& t) const {
    if (t.lane() < 16) t.sync_warp();
    else out[t.lane()] = t.shuffle(1.0f, 0);
  }
};
/// x = 1 for one element too many.
struct LongTail {
  static constexpr const char* name = "long_tail";
  static constexpr int threads = 64;
  float* x;
  Index n;
  template <class Thread> void operator()(Thread& t) const { if (t.thread() <= n) x[t.thread()] = 1; }
};
struct HalfABarrier {
  static constexpr const char* name = "half_a_barrier";
  static constexpr int threads = 64;
  template <class Thread> void operator()(Thread& t) const { if (t.thread() < 40) t.sync(); }
};
struct HalfAShuffle {
  static constexpr const char* name = "half_a_shuffle";
  static constexpr int threads = 32;
  float* out;
  template <class Thread> void operator()(Thread& t) const { if (t.lane() < 16) out[t.lane()] = t.shuffle_xor(1.0f, 1); }
};
struct TooMuchShared {
  static constexpr const char* name = "too_much";
  static constexpr int threads = 32;
  template <class Thread> void operator()(Thread& t) const { t.template shared<float>(33).set(0, 1); }
};
/// c = a b of 16 x 16 and 16 x 8 by the tensor cores' fragments.
template <bool Barrier> struct Tile {
  static constexpr const char* name = "tile";
  static constexpr int threads = 32;
  const bf16 *a, *b;
  float* c;
  template <class Thread> void operator()(Thread& t) const {
    const auto left = t.template shared<bf16>(16 * 16), right = t.template shared<bf16>(16 * 16);
    for (int i = t.lane(); i < 256; i += 32) left.set(i, a[i]);
    for (int i = t.lane(); i < 256; i += 32) right.set(i, i % 16 < 8 ? b[i / 16 * 8 + i % 16] : bf16(0.0f));
    if (Barrier) t.sync_warp();
    backend::cuda::Pair x[4], y[4];
    t.template load_matrix<false>(x, left, t.lane() % 16 * 16 + t.lane() / 16 * 8);
    t.template load_matrix<true>(y, right, t.lane() % 16 * 16 + t.lane() / 16 * 8);
    backend::cuda::Accumulator sum;
    t.mma(sum, x, y[0], y[1]);
    for (int i = 0; i < 4; ++i) c[(t.lane() / 4 + i / 2 * 8) * 8 + 2 * (t.lane() % 4) + i % 2] = sum.values[i];
  }
};

template <class Kernel> std::vector<double> play(const Kernel& kernel, Device& device, Guarded<float>& out, Index shared) {
  device.launch(Grid{.shared_bytes = shared}, kernel);
  return out.values();
}

}  // namespace

TEST_CASE("the emulation runs kernels whose threads meet at barriers") {
  Device device;
  Guarded<float> out(device, numbers(64, 0));
  const auto ring = play(Neighbour<true>{out.data()}, device, out, 256);
  for (int i = 0; i < 64; ++i) CHECK(ring[std::size_t(i)] == std::max(i - 1, 0));
  const auto pairs = play(WarpNeighbour<true>{out.data()}, device, out, 128);
  for (int i = 0; i < 32; ++i) CHECK(pairs[std::size_t(i)] == std::max(i - 1, 0));
  const auto twice = play(Reuse<true>{out.data()}, device, out, 256);
  for (int i = 0; i < 64; ++i) CHECK(twice[std::size_t(i)] == 2 * ((i + 1) % 64) + 1);
}

TEST_CASE("the emulation finds planted faults") {
  Device device;
  Guarded<float> out(device, numbers(64, 0));
  check_error([&] { play(Neighbour<false>{out.data()}, device, out, 256); }, "emulated", {"'neighbour'", "since the last barrier"});
  check_error([&] { play(WarpNeighbour<false>{out.data()}, device, out, 128); }, "emulated", {"'warp_neighbour'", "since the last barrier"});
  check_error([&] { play(Reuse<false>{out.data()}, device, out, 256); }, "emulated", {"'reuse'", "writes", "read since the last barrier"});
  check_error([&] { play(WriteAfterRead{out.data()}, device, out, 16); }, "emulated", {"'write_after_read'", "thread 63 writes", "read since the last barrier"});
  check_error([&] { play(NeverWritten{out.data()}, device, out, 128); }, "emulated", {"'never_written'", "which nobody has written"});
  check_error([&] { play(TwoOperations{out.data()}, device, out, 0); }, "emulated", {"warp 0 meet in different operations"});
  Guarded<bf16> a(device, numbers(256, 1)), b(device, numbers(128, 2));
  Guarded<float> c(device, numbers(128, 3));
  check_error([&] { play(Tile<false>{a.data(), b.data(), c.data()}, device, c, 1024); }, "emulated", {"'tile'", "since the last barrier"});
  Guarded<float> tail(device, numbers(33, 1));
  device.launch(Grid{}, LongTail{tail.data(), 33});
  CHECK(!tail.intact());
  device.launch(Grid{}, LongTail{out.data(), 62});
  CHECK(out.intact());
  check_error([&] { device.launch(Grid{}, HalfABarrier{}); device.flush(); }, "emulated", {"40 threads wait at a barrier", "24 have ended"});
  check_error([&] { device.launch(Grid{}, HalfAShuffle{out.data()}); device.flush(); }, "emulated", {"16 in a warp operation", "16 have ended"});
  check_error([&] { device.launch(Grid{.shared_bytes = 128}, TooMuchShared{}); device.flush(); }, "emulated", {"uses 132 bytes", "launched with 128"});
}

TEST_CASE("tiles of tensor cores multiply as matrices do") {
  Device device;
  const auto a = numbers(256, 1), b = numbers(128, 2);
  Guarded<bf16> left(device, a), right(device, b);
  Guarded<float> out(device, numbers(128, 3));
  const auto c = play(Tile<true>{left.data(), right.data(), out.data()}, device, out, 1024);
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 8; ++j) {
      double sum = 0;
      for (int k = 0; k < 16; ++k) sum += a[std::size_t(i * 16 + k)] * b[std::size_t(k * 8 + j)];
      CHECK(c[std::size_t(i * 8 + j)] == doctest::Approx(sum).epsilon(1e-6));
    }
}

TEST_CASE("a list of kernels that comes again is replayed, with the numbers that are staged now") {
  Device device;
  Guarded<float> x(device, numbers(100, 0)), y(device, numbers(100, 1));
  device.synchronize();
  const Index before = device.commands().launches();
  const auto expected = numbers(100, 0);
  for (int round = 0; round < 5; ++round) {
    const double alpha = round;
    for (int i = 0; i < 10; ++i)
      CudaKernels::linear_combination(device, 1, 100, &alpha, in(x.data()), nullptr, nullptr, y.data(), i > 0);
    const auto found = y.values();
    for (std::size_t i = 0; i < 100; ++i) CHECK(found[i] == doctest::Approx(10 * alpha * expected[i]).epsilon(1e-6));
  }
  CHECK(device.commands().replays() == 4);
  CHECK(device.commands().launches() == before + 20);  // the first list, and its capture
}

TEST_CASE("a list may be long: each of many kernels finds what was staged for it") {
  Device device;
  const Index n = 10'000;
  Guarded<float> ones(device, std::vector<double>(1, 1.0)), sum(device, std::vector<double>(1, 0.0));
  double expected = 0;
  for (Index i = 0; i < n; ++i) {
    const double alpha = double(i % 7);
    CudaKernels::linear_combination(device, 1, 1, &alpha, in(ones.data()), nullptr, nullptr, sum.data(), true);
    expected += alpha;
  }
  CHECK(sum.values()[0] == expected);
}

TEST_CASE("without graphs every kernel is launched") {
  Device device(backend::CudaOptions{.graphs = false});
  Guarded<float> x(device, numbers(100, 0));
  device.synchronize();
  const Index before = device.commands().launches();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 10; ++i) CudaKernels::fill(device, 100, i, x.data());
    CHECK(x.values() == std::vector<double>(100, 9.0));
  }
  CHECK(device.commands().replays() == 0);
  CHECK(device.commands().launches() == before + 30);
}

TEST_CASE("staging takes more than fits its first blocks") {
  Device device;
  const Index n = 300'000;  // 2.4 MB of coefficients
  std::vector<double> alpha(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < alpha.size(); ++i) alpha[i] = double(i);
  Guarded<float> x(device, std::vector<double>(static_cast<std::size_t>(n), 1.0));
  CudaKernels::linear_combination(device, n, 1, alpha.data(), in(x.data()), nullptr, nullptr, x.data(), false);
  CHECK(x.values() == alpha);
}

TEST_CASE("device memory is cut from few pieces and joined again") {
  Device device;
  std::vector<void*> blocks;
  for (int i = 1; i <= 20; ++i) blocks.push_back(device.allocate<std::byte>(i * 1000));
  const std::size_t pieces = device.arena().pieces(), held = device.arena().held_bytes();
  CHECK(pieces == 1);
  void* const first = blocks[0];
  for (int i : {3, 17, 4, 5, 0, 1, 2}) device.deallocate(std::exchange(blocks[std::size_t(i)], nullptr));
  void* const again = device.allocate<std::byte>(21'000);  // the first six, joined
  CHECK(again == first);
  device.deallocate(again);
  for (void* block : blocks) device.deallocate(block);
  CHECK(device.arena().used_bytes() == 0);
  device.deallocate(device.allocate<std::byte>(Index(held)));  // all of it is one gap
  CHECK(device.arena().held_bytes() == held);
}

TEST_CASE("what goes wrong has one error that names it") {
  Device device;
  Guarded<float> x(device, numbers(100, 0));
  const auto before = x.values();
  check_error([&] { device.allocate<double>(Index{1} << 30); }, "out-of-memory",
              {"8589934592 bytes asked for an array", "of 1073741824 free", "1048576 held already", "planned: nothing", "out of memory"});
  check_error([] { Device(backend::CudaOptions{.planned_bytes = std::size_t{1} << 31}); }, "out-of-memory", {"2147483648 bytes asked for", "planned: 2147483648"});

  device.api().fail_next("multiply", "too many resources requested for launch");
  CudaKernels::multiply(device, 100, in(x.data()), in(x.data()), x.data(), false);
  check_error([&] { device.flush(); }, "cuda-kernel", {"'multiply'", "1 x 1 x 1 blocks of 256 threads", "too many resources"});
  CHECK(x.values() == before);

  device.api().fail_next("copy_to_host", "an illegal memory access was encountered");
  check_error([&] { x.values(); }, "cuda-kernel", {"copy to the host", "illegal memory access"});
  device.api().fail_next("synchronize", "unspecified launch failure");
  check_error([&] { device.synchronize(); }, "cuda-kernel", {"waiting for the device", "unspecified launch failure"});
  device.api().fail_next("make_current", "invalid device ordinal");
  check_error([&] { device.flush(); }, "cuda-device", {"device 0", "invalid device ordinal"});
  device.api().fail_next("copy_to_device", "unspecified launch failure");
  check_error([&] { Guarded<float> y(device, numbers(30'000, 0)); }, "cuda-kernel", {"a copy of ", "to the device", "unspecified launch failure"});
  device.api().fail_next("thrust", "too many resources requested for launch");
  CudaKernels::fill(device, 100, 1, x.data());
  check_error([&] { device.flush(); }, "cuda-kernel", {"'fill' (100 elements)", "too many resources"});
  device.api().fail_next("thrust", "unspecified launch failure");
  check_error([&] { CudaKernels::squared_norm(device, 100, in(x.data())); }, "cuda-kernel", {"'squared_norm' of 100 elements", "unspecified launch failure"});
  device.api().fail_next("matmul", "the functionality is not supported");
  const MatmulShape product{.m = 10, .n = 10, .k = 10, .a_row = 10, .a_col = 1, .b_row = 10, .b_col = 1, .c_row = 10};
  CudaKernels::matmul(device, product, in(x.data()), in(x.data()), x.data(), false, nullptr, Activation::none);
  check_error([&] { device.flush(); }, "cuda-kernel", {"'matmul' (10 x 10 x 10, 1 matrix of 4-byte elements)", "not supported"});
  CHECK(x.values() == before);
}

TEST_CASE("a product whose epilogue cannot be had is followed by a kernel of its own") {
  Device device;
  Guarded<float> a(device, numbers(100, 0)), b(device, numbers(100, 1)), bias(device, numbers(10, 2)), fused(device, numbers(100, 3)), split(device, numbers(100, 4));
  const MatmulShape product{.m = 10, .n = 10, .k = 10, .a_row = 10, .a_col = 1, .b_row = 10, .b_col = 1, .c_row = 10};
  const auto multiply = [&](float* c) { CudaKernels::matmul(device, product, in(a.data()), in(b.data()), c, false, in(bias.data()), Activation::relu); };
  device.synchronize();
  multiply(fused.data());
  device.api().fail_next("epilogue", "the functionality is not supported");
  multiply(split.data());
  CHECK(device.commands().size() == 3);
  CHECK(far(split.values(), fused.values()) < 1e-6);
}

TEST_CASE("a list that cannot be captured is launched one by one; a graph that cannot be launched is an error, and the next list runs") {
  Device device;
  Guarded<float> x(device, numbers(100, 0));
  device.synchronize();
  const auto list = [&] {
    for (int i = 0; i < 10; ++i) CudaKernels::fill(device, 100, i, x.data());
    device.flush();
  };
  list();  // known from now on
  device.api().fail_next("graph", "operation not permitted");
  check_error(list, "cuda-kernel", {"a graph of 10 commands from 'zero' to 'fill'", "operation not permitted"});
  list();
  CHECK(x.values() == std::vector<double>(100, 9.0));
  CHECK(device.commands().replays() == 1);
  for (const char* what : {"begin_capture", "end_capture"}) {
    Device other;
    Guarded<float> y(other, numbers(100, 0));
    other.synchronize();
    other.api().fail_next(what, "operation not permitted when stream is capturing");
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 10; ++i) CudaKernels::fill(other, 100, i, y.data());
      CHECK(y.values() == std::vector<double>(100, 9.0));
    }
    other.api().fail_next("begin_capture", "operation not permitted");
    CudaKernels::fill(other, 100, 1, y.data());
    check_error([&] { other.flush(true); }, "cuda-kernel", {"a list of 1 commands", "cannot be captured"});
  }
}

TEST_CASE("what is uploaded ahead arrives before the kernels that are called later, and disturbs none that run") {
  Device device;
  Guarded<float> x(device, numbers(40'000, 0)), y(device, numbers(40'000, 1));
  const std::vector<double> next = numbers(40'000, 2);
  const std::vector<float> host(next.begin(), next.end());
  CudaKernels::multiply(device, 40'000, in(y.data()), in(y.data()), y.data(), false);
  CudaKernels::upload_ahead(device, x.data(), host.data(), Index(host.size()));
  CudaKernels::multiply(device, 40'000, in(x.data()), in(x.data()), y.data(), false);
  const auto found = y.values();
  for (std::size_t i = 0; i < next.size(); ++i) REQUIRE(found[i] == doctest::Approx(next[i] * next[i]).epsilon(1e-6));
}
