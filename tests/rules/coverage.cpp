// Every compile-time rule has a file under tests/reject that breaks it, and every such file a rule.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

namespace {

// The ids in brackets of all static_asserts.
std::set<std::string> rules() {
  std::set<std::string> ids;
  const std::regex id(R"re("\[([a-z0-9-]+)\] )re");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SFUMATO_TESTS_DIR "/../include/sfumato")) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path());
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    for (std::sregex_iterator match(text.begin(), text.end(), id), end; match != end; ++match) ids.insert((*match)[1]);
  }
  return ids;
}

}  // namespace

TEST_CASE("every rule is broken by a file of tests/reject or tests/mistakes") {
  const auto ids = rules();
  CHECK(ids.size() >= 35);
  std::string expected;  // the first lines
  for (const char* folder : {"/reject", "/mistakes"})
    for (const auto& entry : std::filesystem::directory_iterator(std::string(SFUMATO_TESTS_DIR) + folder)) {
      if (entry.path().extension() != ".cpp") continue;
      std::ifstream file(entry.path());
      std::string line;
      std::getline(file, line);
      if (line.starts_with("// throws: ")) continue;
      INFO(entry.path().filename().string());
      CHECK((line.starts_with("// reject: ") || line.starts_with("// mistake: ")));
      CHECK(std::any_of(ids.begin(), ids.end(), [&](const std::string& id) { return line.find(id) != std::string::npos; }));
      expected += line + "\n";
    }
  for (const std::string& id : ids) {
    INFO("[" << id << "] is broken by no such file");
    CHECK(expected.find(id) != std::string::npos);
  }
}
