// docs/settings.md against the readers of files: every key that weir knows is described there, and every key that is
// described there is known.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "app/config.hpp"
#include "app/provider_profile.hpp"
#include "app/unread_variables.hpp"
#include "support/read_source.hpp"

namespace weir::app {
namespace {

using Keys = std::set<std::string>;

// The lines from `heading` to the next heading of level one.
std::vector<std::string> chapter(const std::string& text, const std::string& heading) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("# ")) inside = line == heading;
    if (inside) lines.push_back(line);
  }
  return lines;
}

// What stands between backticks in the first cell of a table's row.
std::vector<std::string> keys_of_row(const std::string& line) {
  std::vector<std::string> keys;
  const std::string cell = line.substr(1, line.find('|', 1) - 1);
  for (std::size_t at = cell.find('`'); at != std::string::npos; at = cell.find('`', at)) {
    const std::size_t end = cell.find('`', at + 1);
    keys.push_back(cell.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  return keys;
}

// Rows of the tables whose first column is headed `column`.
Keys described(const std::vector<std::string>& lines, const std::string& column) {
  Keys keys;
  bool inside = false;
  for (const std::string& line : lines) {
    if (!line.starts_with("|")) {
      inside = false;
    } else if (line.starts_with("| " + column + " |")) {
      inside = true;
    } else if (inside) {
      for (std::string& key : keys_of_row(line)) EXPECT_TRUE(keys.insert(key).second) << key << " stands there twice";
    }
  }
  return keys;
}

// The words of limits and those of an account's timeouts are described once, and the prose says where else they stand.
Keys spread(const Keys& keys, const std::vector<std::string>& words, const std::vector<std::string>& places,
            const std::string& text) {
  Keys result = keys;
  for (const std::string& place : places) {
    EXPECT_NE(text.find("`" + place + "`"), std::string::npos) << "where the words stand: " << place;
    for (const std::string& word : words) result.insert(place + "." + word.substr(word.rfind('.') + 1));
  }
  return result;
}

// Sections and lists have no row of their own.
Keys without_containers(const std::vector<std::string>& known) {
  Keys leaves;
  for (const std::string& key : known) {
    const bool holds_others = std::any_of(known.begin(), known.end(), [&](const std::string& other) {
      return other.starts_with(key + ".") || other.starts_with(key + "[]");
    });
    if (!holds_others) leaves.insert(key);
  }
  return leaves;
}

void expect_same(const Keys& in_reference, const Keys& in_code) {
  Keys undescribed, unknown;
  std::set_difference(in_code.begin(), in_code.end(), in_reference.begin(), in_reference.end(),
                      std::inserter(undescribed, undescribed.end()));
  std::set_difference(in_reference.begin(), in_reference.end(), in_code.begin(), in_code.end(),
                      std::inserter(unknown, unknown.end()));
  EXPECT_EQ(undescribed, Keys()) << "known to weir, not described in docs/settings.md";
  EXPECT_EQ(unknown, Keys()) << "described in docs/settings.md, not known to weir";
}

const std::vector<std::string> limit_words = {"rpm",         "rpd",    "tpm",   "tpd",    "input_tpm", "output_tpm",
                                              "concurrency", "window", "guard", "pacing", "burst",     "day_reset"};

TEST(SettingsReference, DescribesEverySettingAndNoOther) {
  const std::vector<std::string> lines = chapter(test::read_source("docs/settings.md"), "# Settings");
  Keys keys = described(lines, "Setting");
  ASSERT_GT(keys.size(), 50u);
  keys = spread(keys, limit_words,
                {"upstreams[].limits", "upstreams[].batch.limits", "upstreams[].models.*.limits", "teams.*.limits",
                 "keys[].limits", "tiers.*"},
                test::read_source("docs/settings.md"));
  for (const std::string& word : limit_words) EXPECT_EQ(keys.erase(word), 1u) << word;
  keys = spread(keys,
                {"timeouts.connect", "timeouts.tls", "timeouts.first_byte", "timeouts.first_content",
                 "timeouts.content_gap", "timeouts.byte_gap", "timeouts.total"},
                {"upstreams[].timeouts", "upstreams[].batch.timeouts"}, test::read_source("docs/settings.md"));
  expect_same(keys, without_containers(known_settings()));
}

TEST(SettingsReference, DescribesEveryFieldOfAProviderFileAndNoOther) {
  const std::vector<std::string> lines = chapter(test::read_source("docs/settings.md"), "# Provider files");
  Keys keys = described(lines, "Field");
  ASSERT_GT(keys.size(), 50u);
  keys = spread(keys, limit_words, {"limits", "tiers.*", "batch.limits", "models[].limits"},
                test::read_source("docs/settings.md"));
  for (const std::string& word : limit_words) EXPECT_EQ(keys.erase(word), 1u) << word;
  expect_same(keys, without_containers(known_provider_keys()));
}

TEST(SettingsReference, DescribesEveryVariableAndNoOther) {
  Keys keys = described(chapter(test::read_source("docs/settings.md"), "# Settings reference"), "Variable");
  EXPECT_EQ(keys.erase("on"), 1u) << "a value, not a variable";
  expect_same(keys, Keys(known_variables().begin(), known_variables().end()));
}

}  // namespace
}  // namespace weir::app
