// docs/coverage.md names a test for each thing weir does; a name that nothing has would be a claim without a proof. So
// would a figure in README.md that the page beside it does not have.
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "support/read_source.hpp"

namespace {

using weir::test::read_source;

// What the groups of each match hold, with a dot between.
std::set<std::string> matches(const std::string& text, const std::string& pattern) {
  std::set<std::string> found;
  const std::regex expression(pattern);
  for (std::sregex_iterator match(text.begin(), text.end(), expression), end; match != end; ++match)
    found.insert((*match)[1].str() + (match->size() > 2 ? "." + (*match)[2].str() : ""));
  return found;
}

// The texts of all tests in files with this extension.
std::string tests_in(const std::string& extension) {
  std::string all;
  for (auto entry = std::filesystem::recursive_directory_iterator(weir::test::source_dir / "tests");
       entry != decltype(entry){}; ++entry) {
    if (entry->path().filename() == "node_modules") entry.disable_recursion_pending();
    if (entry->path().extension() == extension) all += read_source(entry->path());
  }
  return all;
}

struct Kind {
  const char* name;
  const char* extension;
  const char* in_the_page;
  const char* in_a_test;  // the words of a story of Node may go on with its client
};
constexpr Kind kinds[] = {
    {"GoogleTest", ".cpp", "`([A-Z][A-Za-z0-9]+)\\.([A-Z][A-Za-z0-9]+)`",
     "TEST(?:_[FP])?\\(\\s*(\\w+)\\s*,\\s*(\\w+)\\s*\\)"},
    {"Python", ".py", "`(test_[a-z0-9_]+)`", "def (test_\\w+)\\("},
    {"Go", ".go", "`(Test[A-Za-z0-9]+)`", "func (Test\\w+)\\("},
    {"Node", ".mjs", "\"([^\"\n]+)\"", "\\btest\\([\"`]([^\"`\n]+?)(?:, \\$\\{[^\"`\n]*)?[\"`]"},
};

TEST(Coverage, EveryTestThatIsNamedExists) {
  const std::string page = read_source("docs/coverage.md");
  for (const Kind& kind : kinds) {
    const std::set<std::string> named = matches(page, kind.in_the_page);
    EXPECT_GE(named.size(), 5u) << kind.name;
    const std::set<std::string> written = matches(tests_in(kind.extension), kind.in_a_test);
    for (const std::string& test : named)
      EXPECT_TRUE(written.contains(test)) << kind.name << ": " << test << " is named in docs/coverage.md only";
  }
}

TEST(Coverage, EveryFigureOfTheReadmeStandsInThePageBesideIt) {
  std::istringstream readme(read_source("README.md"));
  std::size_t figures = 0;
  for (std::string line; std::getline(readme, line);) {
    if (!line.starts_with("| [")) continue;
    std::string pages;
    for (const std::string& page : matches(line, "\\((docs/[a-z-]+\\.md)")) pages += read_source(page);
    for (const std::string& figure : matches(line, "(\\d+\\.\\d+)")) {
      EXPECT_NE(pages.find(figure), std::string::npos) << figure << ": " << line;
      ++figures;
    }
  }
  EXPECT_GE(figures, 10u);
}

}  // namespace
