// A backend of one's own that wraps Reference and counts its calls: one struct.
#include "ops/harness.hpp"

#include <sfumato/backend/observed.hpp>
#include <sfumato/flow/objective.hpp>
#include <sfumato/models/jit.hpp>
#include <sfumato/train/trainer.hpp>

#include <algorithm>
#include <map>

using namespace ops_test;

namespace {

struct CallCounter {
  std::map<std::string, int> calls;
  void begin(const char* kernel, const auto&...) { ++calls[kernel]; }
};
using Counting = backend::Observed<Reference, CallCounter>;

using Model = JiT<ImagePatches<8, 1, 4, 3>, Transformer<16, 3, RMSNorm, SwiGLU, Heads<2>, QKNorm, Rotary, AdaLNZero>>;
struct Stripes {
  Index size() const { return 4; }
  int load(Index i, bool, float* out) const {
    for (int j = 0; j < 64; ++j) out[j] = (j + i) % 3 == 0 ? 1.f : -1.f;
    return int(i % 3);
  }
};

template <class B> std::vector<double> losses(B& device) {
  Trainer<Model, Model::ImageShape, FlowObjective<Space::x>, B> trainer(device, {}, {.batch = 4, .learning_rate = 1e-2});
  std::vector<double> out;
  for (int i = 0; i < 3; ++i) out.push_back(trainer.step(Stripes{}).loss);
  return out;
}

}  // namespace

TEST_CASE("a wrapped backend gives the same bits, and every call is counted") {
  Reference plain;
  Counting counting;
  CHECK(losses(counting) == losses(plain));
  auto& calls = counting.observer.calls;
  CHECK(calls["attention"] == 3 * 3);  // three blocks, three steps
  CHECK(calls["attention_backward"] == 3 * 3);
  CHECK(calls["swiglu"] == 3 * 3);
  CHECK(calls["norm"] == 3 * (2 * 3 + 1));
  CHECK(calls["weighted_mse"] == 3);
  CHECK(calls["squared_norm"] == 3);
  CHECK(calls["allocate"] == calls["deallocate"]);
}

TEST_CASE("every op runs on a wrapped backend, and the ops call every kernel of the contract but the trainer's") {
  CallCounter all;
  for_each_case<Cases>([&]<class C>(std::type_identity<C>) {
    const Problem<C> problem(1);
    Bench<C, Counting, double> wrapped(problem);
    Bench<C, Reference, double> plain(problem);
    const Gradients found = wrapped.record(), expected = plain.record();
    CHECK(found.value == expected.value);
    CHECK(found.inputs == expected.inputs);
    CHECK(found.parameters == expected.parameters);
    for (const auto& [kernel, count] : wrapped.workspace().backend().observer.calls) all.calls[kernel] += count;
  });
  all.calls.erase("deallocate");
  CHECK(all.calls.size() == 31);  // of 36, without deallocate, convert, normal, adamw and squared_norm
  for (const char* absent : {"convert", "normal", "adamw", "squared_norm"}) CHECK(!all.calls.contains(absent));
}
