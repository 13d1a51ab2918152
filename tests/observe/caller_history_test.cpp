// The last calls of each caller: whose they are, what is told of them, how many are kept.
#include "observe/caller_history.hpp"

#include <gtest/gtest.h>

namespace weir::observe {
namespace {

using namespace std::chrono_literals;

constexpr CallerHistory::Time start{std::chrono::seconds(1'800'000'000)};

ExchangeRecord call_of(const std::string& caller, const std::string& id) {
  ExchangeRecord record;
  record.client = caller;
  record.request_id = id;
  record.upstream = "ark-1";
  record.outcome = "ok";
  record.status = 200;
  record.attempts = 1;
  return record;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(CallerHistory, TellsWhatTheHeadersOfAnAnswerTell) {
  CallerHistory history;
  ExchangeRecord record = call_of("alice", "req-1");
  record.model = "deepseek-r1";
  record.upstream_request_id = "0217";
  record.attempts = 2;
  record.queued = 16'500us;
  record.queued_upstream = 4ms;
  record.duration = 30ms;
  record.reserved_tokens = 120;
  record.input_tokens = 20;
  record.output_tokens = 90;
  history.exchange(record, start);
  EXPECT_EQ(history.json("alice"),
            R"([{"id":"req-1","ended":1800000000,"model":"deepseek-r1","status":200,"outcome":"ok","upstream":"ark-1",)"
            R"("upstream_request_id":"0217","attempts":2,"queue_ms":20,"duration_ms":30,"reserved_tokens":120,)"
            R"("input_tokens":20,"output_tokens":90}])");
}

TEST(CallerHistory, LeavesOutWhatIsNotKnown) {
  CallerHistory history;
  ExchangeRecord record = call_of("alice", "req-1");
  record.outcome = "refused";
  record.error = "weir_deadline";
  record.status = 429;
  record.attempts = 0;
  history.exchange(record, start);
  EXPECT_EQ(history.json("alice"),
            R"([{"id":"req-1","ended":1800000000,"status":429,"outcome":"refused","error":"weir_deadline",)"
            R"("upstream":"ark-1","attempts":0,"queue_ms":0,"duration_ms":0}])");
}

TEST(CallerHistory, ShowsACallerOnlyItsOwn) {
  CallerHistory history;
  history.exchange(call_of("alice", "of alice"), start);
  history.exchange(call_of("bob", "of bob"), start);
  EXPECT_EQ(count(history.json("alice"), "of alice"), 1u);
  EXPECT_EQ(count(history.json("alice"), "of bob"), 0u);
  EXPECT_EQ(history.json("carol"), "[]");
}

TEST(CallerHistory, KeepsTheLatestAndTellsThemFirst) {
  CallerHistory history;
  for (std::size_t i = 0; i < CallerHistory::calls_max + 5; ++i)
    history.exchange(call_of("alice", "req-" + std::to_string(i)), start);
  const std::string json = history.json("alice");
  EXPECT_EQ(count(json, R"("id")"), CallerHistory::calls_max);
  EXPECT_TRUE(json.starts_with(R"([{"id":"req-54")")) << json;
  EXPECT_EQ(count(json, R"("req-4")"), 0u);
  EXPECT_EQ(count(json, R"("req-5")"), 1u);
}

TEST(CallerHistory, ForgetsWhoHasNotCalledForTheLongestTime) {
  CallerHistory history;
  for (std::size_t i = 0; i < CallerHistory::callers_max; ++i)
    history.exchange(call_of("caller-" + std::to_string(i), "req"), start);
  history.exchange(call_of("caller-0", "again"), start);
  history.exchange(call_of("one more", "req"), start);
  EXPECT_EQ(count(history.json("caller-0"), R"("id")"), 2u);
  EXPECT_EQ(history.json("caller-1"), "[]");
  EXPECT_EQ(count(history.json("caller-2"), R"("id")"), 1u);
  EXPECT_EQ(count(history.json("one more"), R"("id")"), 1u);
}

TEST(CallerHistory, KnowsNoCallThatWasForNoUpstream) {
  CallerHistory history;
  ExchangeRecord record = call_of("alice", "GET /v1/weir/me");
  record.upstream.clear();
  history.exchange(record, start);
  record = call_of("", "no key");
  history.exchange(record, start);
  EXPECT_EQ(history.json("alice"), "[]");
  EXPECT_EQ(history.json(""), "[]");
}

}  // namespace
}  // namespace weir::observe
