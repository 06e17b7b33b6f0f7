// The library's cases in their three contexts; and no op is without a case.
#include "ops/generated.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

SFUMATO_TEST_OP_CONTEXTS(Cases)

TEST_CASE("every op in include/sfumato/ops is in the list") {
  std::set<std::string> listed(tested_elsewhere.begin(), tested_elsewhere.end());
  for_each_case<Cases>([&]<class C>(std::type_identity<C>) { listed.emplace(C::ops); });

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
