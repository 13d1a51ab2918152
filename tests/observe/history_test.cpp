#include "observe/history.hpp"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <string>

namespace weir::observe {
namespace {

using namespace std::chrono_literals;

constexpr History::Time begin{std::chrono::seconds(1'800'000'000)};

ExchangeRecord answered(std::uint64_t input, std::uint64_t output) {
  ExchangeRecord record;
  record.client = "alice";
  record.model = "deepseek-chat";
  record.upstream = "ds";
  record.outcome = "ok";
  record.input_tokens = input;
  record.output_tokens = output;
  return record;
}

class Parsed {
 public:
  explicit Parsed(const std::string& text) : text_(text) {
    EXPECT_EQ(parser_.parse(text_).get(root_), simdjson::SUCCESS) << text_;
  }
  simdjson::dom::element operator[](std::string_view name) const { return root_[name]; }
  simdjson::dom::element last_step(std::size_t back = 0) const {
    return root_["steps"].get_array().at(History::steps - 1 - back);
  }

 private:
  std::string text_;
  simdjson::dom::parser parser_;
  simdjson::dom::element root_;
};

TEST(History, AddsUpWhatHappenedInAStep) {
  History history(begin);
  history.exchange(answered(100, 20), begin);
  ExchangeRecord waited = answered(10, 2);
  waited.queued = 3s;
  history.exchange(waited, begin + 4s);
  const Parsed json(history.json(begin + 4s));
  EXPECT_EQ(json["steps"].get_array().size(), History::steps);
  EXPECT_EQ(std::int64_t(json.last_step()["at"]), 1'800'000'000);
  EXPECT_EQ(std::int64_t(json.last_step()["requests"]), 2);
  EXPECT_EQ(std::int64_t(json.last_step()["input_tokens"]), 110);
  EXPECT_EQ(std::int64_t(json.last_step()["output_tokens"]), 22);
  EXPECT_EQ(double(json.last_step()["wait_mean_s"].get_double()), 1.5);
  EXPECT_EQ(std::int64_t(json.last_step(1)["requests"]), 0);
}

TEST(History, ForgetsWhatIsOlderThanItsSteps) {
  History history(begin);
  history.exchange(answered(100, 20), begin);
  const auto life = History::step * static_cast<int>(History::steps);
  const Parsed before(history.json(begin + life - 5s));
  EXPECT_EQ(std::int64_t(before.last_step(History::steps - 1)["input_tokens"]), 100);
  const Parsed after(history.json(begin + life));
  for (std::size_t i = 0; i < History::steps; ++i) EXPECT_EQ(std::int64_t(after.last_step(i)["requests"]), 0);
}

TEST(History, KnowsWhatEachKeySpentPerModel) {
  History history(begin);
  ExchangeRecord priced = answered(1'000'000, 500'000);
  priced.cost = 1.25;
  priced.currency = "USD";
  history.exchange(priced, begin);
  history.exchange(priced, begin);
  ExchangeRecord unknown = answered(7, 1);
  unknown.client = "bob";
  history.exchange(unknown, begin);
  const Parsed json(history.json(begin));
  const auto spent = json["spent"].get_array();
  ASSERT_EQ(spent.size(), 2u);
  EXPECT_EQ(std::string_view(spent.at(0)["key"]), "alice");
  EXPECT_EQ(std::int64_t(spent.at(0)["input_tokens"]), 2'000'000);
  EXPECT_EQ(double(spent.at(0)["cost"]), 2.5);
  EXPECT_EQ(std::string_view(spent.at(0)["currency"]), "USD");
  EXPECT_TRUE(spent.at(1)["cost"].is_null()) << "a price that is not known is not zero";
}

TEST(History, CountsAStreamThatWasCutByWhatItsBudgetsWereCharged) {
  History history(begin);
  ExchangeRecord cut = answered(0, 0);
  cut.input_tokens = cut.output_tokens = std::nullopt;
  cut.outcome = "client_left";
  cut.cut_input_tokens = 100;
  cut.cut_output_tokens = 20;
  cut.cost = 0.5;
  history.exchange(cut, begin);
  const Parsed json(history.json(begin));
  EXPECT_EQ(std::int64_t(json.last_step()["output_tokens"]), 20);
  ASSERT_EQ(json["spent"].get_array().size(), 1u);
  EXPECT_EQ(std::int64_t(json["spent"].at(0)["input_tokens"]), 100);
  EXPECT_EQ(std::int64_t(json["spent"].at(0)["output_tokens"]), 20);
  EXPECT_EQ(double(json["spent"].at(0)["cost"]), 0.5);
}

TEST(History, KeepsTheLatestErrorsInWordsNewestFirst) {
  History history(begin);
  for (int i = 0; i < 60; ++i) {
    ExchangeRecord failed = answered(0, 0);
    failed.outcome = "upstream_failed";
    failed.error = "weir_upstream_reset";
    failed.detail = "failure \"" + std::to_string(i) + "\"";
    history.exchange(failed, begin + std::chrono::seconds(i));
  }
  const Parsed json(history.json(begin + 60s));
  const auto errors = json["errors"].get_array();
  ASSERT_EQ(errors.size(), History::errors_max);
  EXPECT_EQ(std::string_view(errors.at(0)["words"]), "failure \"59\"");
  EXPECT_EQ(std::string_view(errors.at(0)["code"]), "weir_upstream_reset");
  EXPECT_EQ(std::int64_t(errors.at(0)["at"]), 1'800'000'059);
}

TEST(History, BoundsHowManySpendersItTellsApart) {
  History history(begin);
  for (int i = 0; i < 1100; ++i) {
    ExchangeRecord record = answered(1, 1);
    record.client = "key-" + std::to_string(i);
    history.exchange(record, begin);
  }
  const Parsed json(history.json(begin));
  EXPECT_LE(json["spent"].get_array().size(), History::spenders_max + 1);
}

}  // namespace
}  // namespace weir::observe
