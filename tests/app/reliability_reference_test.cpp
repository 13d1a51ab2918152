// docs/reliability.md against the provider files and defaults that the server uses.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "app/config.hpp"
#include "app/shipped_providers.hpp"
#include "app/units.hpp"
#include "protocol/rate_limit_headers.hpp"
#include "proxy/cause.hpp"
#include "support/read_source.hpp"

namespace weir::app {
namespace {

using Lines = std::vector<std::string>;

// The rows of the first table below a heading.
Lines table_below(const std::string& heading) {
  Lines rows;
  std::istringstream in(test::read_source("docs/reliability.md"));
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("## ")) inside = line == heading;
    if (!inside) continue;
    if (line.starts_with("|")) {
      rows.push_back(line);
    } else if (!rows.empty()) {
      break;
    }
  }
  if (rows.size() > 2) rows.erase(rows.begin(), rows.begin() + 2);  // the heads
  return rows;
}

std::string said_by(const ErrorRule& rule) {
  std::string said;
  const auto add = [&](const std::string& what, const std::string& value, const std::string& quote) {
    if (!value.empty()) said += (said.empty() ? "" : ", ") + what + quote + value + quote;
  };
  add("code ", rule.code, "`");
  add("type ", rule.type, "`");
  add("", rule.words, "\"");
  add("source ", rule.source, "`");
  return said.empty() ? "anything" : said;
}

TEST(ReliabilityReference, NamesEveryCause) {
  Lines expected;
  for (const auto& provider : shipped_providers()) {
    for (const ErrorRule& rule : provider->errors) {
      const std::string cause(proxy::name_of(rule.cause));
      expected.push_back("| " + provider->name + " | " + (rule.status ? std::to_string(*rule.status) : "any") + " | " +
                         said_by(rule) + " | " + cause +
                         (rule.meter.empty() || rule.meter == cause ? "" : " `" + rule.meter + "`") +
                         (rule.scope.empty() ? "" : " of the " + rule.scope) + " |");
    }
  }
  EXPECT_EQ(table_below("## Causes"), expected);
}

TEST(ReliabilityReference, NamesEveryClock) {
  Lines expected;
  for (const auto& provider : shipped_providers()) {
    const proxy::UpstreamTimeouts otherwise;
    const UpstreamTimeoutsConfig& own = provider->timeouts;
    std::string row = "| " + provider->name;
    const auto add = [&](const std::optional<Duration>& value, proxy::Duration unless_said) {
      row += " | " + format_duration(value.value_or(unless_said));
    };
    add(own.connect, otherwise.connect);
    add(own.tls, otherwise.tls);
    add(own.first_byte, otherwise.first_byte);
    add(own.first_content, otherwise.first_content);
    add(own.content_gap, otherwise.content_gap);
    add(own.byte_gap, otherwise.byte_gap);
    add(own.total, otherwise.total);
    expected.push_back(row + " |");
  }
  EXPECT_EQ(table_below("## Clocks"), expected);
}

// `a-{b,c}` as a-b and a-c.
void unfold(const std::string& pattern, Lines& into) {
  const auto open = pattern.find('{');
  if (open == std::string::npos) return into.push_back(pattern);
  const auto close = pattern.find('}', open);
  std::istringstream words(pattern.substr(open + 1, close - open - 1));
  for (std::string word; std::getline(words, word, ',');)
    unfold(pattern.substr(0, open) + word + pattern.substr(close + 1), into);
}

TEST(ReliabilityReference, NamesEveryHeaderOfLimitsThatIsRead) {
  Lines named;
  for (const std::string& row : table_below("## Headers of limits")) {
    const std::string cell = row.substr(0, row.find('|', 1));
    for (std::size_t at = cell.find('`'); at != std::string::npos; at = cell.find('`', at + 1)) {
      const std::size_t end = cell.find('`', at + 1);
      unfold(cell.substr(at + 1, end - at - 1), named);
      at = end;
    }
  }
  const auto read = protocol::meter_header_names();
  Lines expected(read.begin(), read.end());
  std::sort(named.begin(), named.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(named, expected);
}

TEST(ReliabilityReference, NamesTheTriesAndPausesOfTheDefaults) {
  const RetryConfig retry;
  const std::string tries = "`retry.tries_max` " + std::to_string(retry.tries_max);
  const std::string refusals = "`retry.refusals_max` " + std::to_string(retry.refusals_max);
  const std::string pauses = format_duration(retry.pause_min) + " doubled up to " + format_duration(retry.pause_max);
  const Lines rows = table_below("## Who tries again");
  const auto naming = [&](const std::string& text) {
    return std::count_if(rows.begin(), rows.end(),
                         [&](const std::string& row) { return row.find(text) != std::string::npos; });
  };
  ASSERT_EQ(rows.size(), 9u);
  EXPECT_EQ(naming("one at each other account of the model"), 3);
  EXPECT_EQ(naming(refusals + " |"), 1);
  EXPECT_EQ(naming(tries + " |"), 3);
  EXPECT_EQ(naming(pauses), 2);
}

TEST(ReliabilityReference, NamesHowLongCallsWaitForAnAccountThatFails) {
  const std::string wait = "`breaker.wait_max` " + format_duration(BreakerConfig().wait_max) + " at most";
  const Lines rows = table_below("## What the account is spared");
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_NE(rows[1].find(wait), std::string::npos) << rows[1];
}

std::string without_stars(std::string pattern) {
  std::replace(pattern.begin(), pattern.end(), '*', 'x');
  return pattern;
}

// A rule that an earlier one always answers for would be a mistake of the file.
TEST(ReliabilityReference, EveryRuleDecidesAboutTheErrorItDescribes) {
  const auto generic = shipped_provider("generic");
  for (const auto& provider : shipped_providers()) {
    std::vector<ErrorRule> rules = provider->errors;
    rules.insert(rules.end(), generic->errors.begin(), generic->errors.end());
    for (const ErrorRule& rule : provider->errors) {
      SCOPED_TRACE(provider->name + " " + said_by(rule));
      protocol::UpstreamError error;
      error.code = without_stars(rule.code);
      error.type = without_stars(rule.type);
      error.message = rule.words;
      error.limit_source = rule.source;
      const auto diagnosis = proxy::diagnose(rule.status.value_or(400), net::MessageHead(), error, rules,
                                             std::chrono::system_clock::now());
      EXPECT_EQ(proxy::name_of(diagnosis.cause), proxy::name_of(rule.cause));
    }
  }
}

}  // namespace
}  // namespace weir::app
