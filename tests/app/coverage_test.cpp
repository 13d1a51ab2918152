// docs/coverage.md names a test for each thing weir does; a name that nothing has would be a claim without a proof.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

namespace {

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::set<std::string> matches(const std::string& text, const std::regex& pattern) {
  std::set<std::string> found;
  for (std::sregex_iterator match(text.begin(), text.end(), pattern), end; match != end; ++match) {
    found.insert((*match)[1].str() + "." + (*match)[2].str());
  }
  return found;
}

TEST(Coverage, EveryTestThatIsNamedExists) {
  const std::filesystem::path root = WEIR_SOURCE_DIR;
  const std::set<std::string> named =
      matches(text_of(root / "docs/coverage.md"), std::regex("`([A-Z][A-Za-z0-9]+)\\.([A-Z][A-Za-z0-9]+)`"));
  ASSERT_GT(named.size(), 20u);
  std::set<std::string> written;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root / "tests")) {
    if (entry.path().extension() != ".cpp") continue;
    written.merge(matches(text_of(entry.path()), std::regex("TEST(?:_[FP])?\\(\\s*(\\w+)\\s*,\\s*(\\w+)\\s*\\)")));
  }
  for (const std::string& test : named)
    EXPECT_TRUE(written.contains(test)) << test << " is named in docs/coverage.md and does not exist";
}

}  // namespace
