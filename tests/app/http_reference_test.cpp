// docs/http.md against the sources of the server: each error code with its statuses and each header of weir's own is
// described there, and what is described there exists.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/read_source.hpp"

namespace {

namespace fs = std::filesystem;
using weir::test::read_source;
using Words = std::set<std::string>;

std::string sources() {
  std::string all;
  for (const auto& file : fs::directory_iterator(weir::test::source_dir / "server/proxy")) {
    if (file.path().extension() == ".cpp") all += read_source(file.path());
  }
  return all;
}

// What the pattern's groups hold, of each place where it fits.
std::vector<std::smatch> all_matches(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  return {std::sregex_iterator(text.begin(), text.end(), regex), std::sregex_iterator()};
}

Words words_of(const std::string& text, const std::string& pattern) {
  Words words;
  for (const std::smatch& match : all_matches(text, pattern)) words.insert(match[1]);
  return words;
}

// The cells of the rows of all tables that begin with this column.
std::vector<std::vector<std::string>> rows(const std::string& column) {
  std::vector<std::vector<std::string>> found;
  std::istringstream lines(read_source("docs/http.md"));
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| ")) {
      inside = inside && line.starts_with("|-");
      continue;
    }
    if (line.starts_with("| " + column + " |")) {
      inside = true;
      continue;
    }
    if (!inside) continue;
    std::vector<std::string> cells;
    std::istringstream cell_stream(line.substr(2));
    for (std::string cell; std::getline(cell_stream, cell, '|');) cells.push_back(cell);
    found.push_back(std::move(cells));
  }
  return found;
}

TEST(HttpReference, DescribesEveryErrorCodeWithItsStatuses) {
  std::map<std::string, Words> described, made;
  for (const auto& cells : rows("Code")) {
    const Words names = words_of(cells.at(0), "`([a-z_]+)`");
    ASSERT_EQ(names.size(), 1u) << cells.at(0);
    EXPECT_TRUE(described.emplace(*names.begin(), words_of(cells.at(1), "([0-9]{3})")).second) << *names.begin();
    EXPECT_GE(cells.size(), 5u) << cells.at(0);
  }
  const std::string text = sources();
  for (const std::smatch& match : all_matches(text, R"#((?:make|answer)\(\s*([0-9]{3}), "([a-z_]+)")#"))
    made[match[2]].insert(match[1]);
  for (const std::smatch& match : all_matches(text, R"#(refusal\.code = "([a-z_]+)")#")) made[match[1]].insert("429");
  made["upstream_error"];  // with whatever status it came
  EXPECT_EQ(described, made);
  for (const std::string& code : words_of(text, R"#("(weir_[a-z_]+)")#"))
    EXPECT_TRUE(described.contains(code)) << code << " is said by the server";
}

// Else requests that weir refused would be counted as the provider's.
TEST(HttpReference, MetricsKnowEveryCodeOfItsOwn) {
  const std::string metrics = read_source("server/observe/metrics.cpp");
  const auto list = all_matches(metrics, R"#(other_words\{([^}]*)\})#");
  ASSERT_EQ(list.size(), 1u);
  const std::string text = sources();
  Words made = words_of(text, R"#((?:make|answer)\(\s*[0-9]{3}, "([a-z_]+)")#");
  made.merge(words_of(text, R"#((?:refusal\.code = |refused_unread\()"([a-z_]+)")#"));
  std::erase_if(made, [](const std::string& code) { return code.starts_with("weir_"); });
  EXPECT_EQ(words_of(list.front()[1], R"#("([a-z_]+)")#"), made);
}

TEST(HttpReference, DescribesEveryHeaderOfItsOwn) {
  Words described;
  for (const auto& cells : rows("Header")) described.merge(words_of(cells.at(0), "`([A-Za-z-]+)`"));
  const Words used = words_of(sources(), R"((x-weir-[a-z-]*[a-z]))");
  for (const std::string& name : used) EXPECT_TRUE(described.contains(name)) << name << " is used by the server";
  for (const std::string& name : described) {
    if (name.starts_with("x-weir-")) {
      EXPECT_TRUE(used.contains(name)) << name << " is not used by the server";
    }
  }
  for (const char* name : {"x-litellm-max-queue-wait", "x-gateway-inference-fairness-id", "x-should-retry"})
    EXPECT_TRUE(described.contains(name)) << name;
}

TEST(HttpReference, DescribesEveryPathOfTheOperatorListener) {
  const std::string operators = read_source("server/proxy/operator_api.cpp");
  const std::string reference = read_source("docs/http.md");
  const Words paths = words_of(operators, R"#("(/[a-z]+/?[a-z]*)")#");
  EXPECT_GT(paths.size(), 6u);
  for (const std::string& path : paths) EXPECT_NE(reference.find(path), std::string::npos) << path;
}

}  // namespace
