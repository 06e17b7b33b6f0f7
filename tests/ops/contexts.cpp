// Every case of the list in its three contexts: inference gives training's bits, and Count predicts what training keeps.
#include "ops/harness.hpp"

#include <sfumato/autodiff/count.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

using namespace ops_test;

namespace {

template <class C, class B, class E> void check_same_bits(const char* where) {
  const Problem<C> problem(21);
  Bench<C, B, E> bench(problem);
  INFO(where);
  CHECK(bench.run() == bench.record().value);
}

// What the case costs, its inputs being values that somebody made.
template <class C> constexpr Cost count() {
  Count count;
  const typename C::Parameters parameters{};
  [&]<class... S>(Inputs<S...>) {
    C::build(count, parameters, count.make<S>(C::batch)...);
  }(typename C::Values{});
  return count.cost;
}

}  // namespace

TEST_CASE("every op: Run and Record give the same bits") {
  for_each_case([]<class C>(std::type_identity<C>) {
    if constexpr (!C::draws) {
      check_same_bits<C, Cpu, float>("Cpu, f32");
      if constexpr (!C::rounds_twice) check_same_bits<C, Cpu, bf16>("Cpu, bf16");
    }
  });
}

TEST_CASE("every op: Count's saved elements are what the tape keeps, and its multiply-adds are known") {
  for_each_case([]<class C>(std::type_identity<C>) {
    if constexpr (C::counts) {
      constexpr Cost counted = count<C>();
      const Cost cost = counted;  // g++ 12 fails on a captured constexpr object
      CHECK(cost.macs == C::macs);
      const Problem<C> problem(22);
      const auto compare = [&]<class E>(std::type_identity<E>) {
        Bench<C, Cpu, E> bench(problem);
        const Index bytes = cost.saved * Index(sizeof(E)) + cost.statistics * Index(sizeof(compute_t<E>)), kept = Index(bench.kept_bytes());
        if constexpr (std::is_same_v<E, bf16>) CHECK((kept >= bytes && kept < bytes + 8 * 64));  // a few blocks, each rounded up to 64 bytes
        else CHECK(kept == bytes);
      };
      compare(std::type_identity<float>{});
      compare(std::type_identity<double>{});
      compare(std::type_identity<bf16>{});
    }
  });
}

TEST_CASE("every op: its memory comes back, and the second time costs no new memory") {
  for_each_case([]<class C>(std::type_identity<C>) {
    const Problem<C> problem(23);
    Bench<C, Cpu, float> bench(problem);
    bench.run();
    bench.record();
    const std::size_t live = bench.workspace().pool().live_bytes();
    const Index allocations = bench.workspace().allocations();
    bench.run();
    bench.record();
    CHECK(bench.workspace().pool().live_bytes() == live);
    CHECK(bench.workspace().allocations() == allocations);
  });
}

TEST_CASE("every op in include/sfumato/ops is in the list") {
  std::set<std::string> listed(tested_elsewhere.begin(), tested_elsewhere.end());
  for_each_case([&]<class C>(std::type_identity<C>) { listed.emplace(C::ops); });

  // A front door is a function of namespace ops whose first parameter is the context.
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(SFUMATO_TESTS_DIR) + "/../include/sfumato/ops")) {
    std::ifstream file(entry.path());
    bool inside_detail = false;
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("namespace detail {")) inside_detail = true;
      if (line.starts_with("}  // namespace detail")) inside_detail = false;
      const auto at = line.find("(Ctx& ctx");
      if (inside_detail || at == std::string::npos) continue;
      auto begin = at;
      while (begin > 0 && (std::isalnum(static_cast<unsigned char>(line[begin - 1])) || line[begin - 1] == '_')) --begin;
      if (line.find("auto " + line.substr(begin, at - begin) + "(") != std::string::npos || line.find("void " + line.substr(begin, at - begin) + "(") != std::string::npos)
        found.insert(line.substr(begin, at - begin));
    }
  }
  CHECK(found.size() >= 36);
  for (const std::string& name : found) {
    INFO("ops::" << name << " has no case in tests/ops/cases.hpp");
    CHECK(listed.contains(name));
  }
  for (const std::string& name : listed) {
    INFO("the case for '" << name << "' names no front door");
    CHECK(found.contains(name));
  }
}
