// The library's kernels, to be played; and at the end of a run of all tests, whether all of them were.
#include "cuda/play.hpp"

#include <sfumato/backend/cuda/instantiate.hpp>
#include <sfumato/nn/layers.hpp>
#include <sfumato/ops/gather.hpp>
#include <sfumato/ops/group_norm.hpp>
#include <sfumato/ops/window.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <ostream>

namespace sfumato::inline v0_1::backend::cuda {
template void instantiate_kernels<emulated::Api, float>();
template void instantiate_kernels<emulated::Api, double>();
template void instantiate_kernels<emulated::Api, bf16>();
template void instantiate_loops<emulated::Api, ops::PointwiseLoops<DyT::Tanh>>();
template void instantiate_loops<emulated::Api, ops::PointwiseLoops<ops::Abs>>();
template void instantiate_loops<emulated::Api, ops::PointwiseLoops<ops::LeakyReLU<>>>();
template void instantiate_loops<emulated::Api, ops::PointwiseLoops<ops::Reciprocal>>();
template void instantiate_loops<emulated::Api, ops::PointwiseLoops<ops::Hinge<1>>>();
template void instantiate_loops<emulated::Api, ops::PointwiseLoops<ops::Hinge<-1>>>();
template void instantiate_loops<emulated::Api, ops::PointwiseLoops<ops::EightBits>>();
template void instantiate_loops<emulated::Api, ops::PointwiseLoops<ops::Clamp<-30, 20>>>();
template void instantiate_loops<emulated::Api, ops::PointwiseLoops<ops::HalfExp>>();
template void instantiate_loops<emulated::Api, ops::PointwiseLoops<ops::ExpExcess>>();
template void instantiate_loops<emulated::Api, ops::GroupNormLoops<float>>();
template void instantiate_loops<emulated::Api, ops::GroupNormLoops<double>>();
template void instantiate_loops<emulated::Api, ops::GroupNormLoops<bf16>>();
template void instantiate_loops<emulated::Api, ops::FourierLoops>();
template void instantiate_loops<emulated::Api, ops::ChannelAffineLoops>();
template void instantiate_loops<emulated::Api, ops::GatherLoops>();
template void instantiate_loops<emulated::Api, ops::WindowLoops>();
}  // namespace sfumato::inline v0_1::backend::cuda

namespace {

struct Coverage : doctest::IReporter {
  const doctest::ContextOptions& options;
  explicit Coverage(const doctest::ContextOptions& o) : options(o) {}

  void test_run_end(const doctest::TestRunStats& stats) override {
    if (stats.numTestCasesPassingFilters != stats.numTestCases || options.count) return;
    const auto& played = emulated::played();
    std::set<std::string> all;  // the library's; some tests bring their own
    for (const std::string& name : emulated::kernels())
      if (name.find("backend::cuda::") != std::string::npos) all.insert(name);
    std::size_t missing = 0;
    for (const std::string& name : all)
      if (!played.contains(name)) {
        ++missing;
        *options.cout << "never played: " << name << "\n";
      }
    if (missing == 0 && all.size() > 100) *options.cout << "all " << all.size() << " kernels were played" << std::endl;
  }
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
REGISTER_LISTENER("coverage", 1, Coverage);

}  // namespace
