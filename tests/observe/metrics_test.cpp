#include "observe/metrics.hpp"

#include <gtest/gtest.h>

#include <ctime>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "support/no_descriptors.hpp"

namespace weir::observe {
namespace {

using namespace std::chrono_literals;

ExchangeRecord answered() {
  ExchangeRecord record;
  record.client = "alice";
  record.model = "deepseek-chat";
  record.upstream = "ds";
  record.operation = "chat";
  record.outcome = "ok";
  record.status = 200;
  record.attempts = 1;
  record.tries = {{"ds", 200, ""}};
  record.duration = 2s;
  return record;
}

// Whether the text has this very line.
testing::AssertionResult says(const std::string& text, const std::string& line) {
  std::istringstream lines(text);
  for (std::string each; std::getline(lines, each);) {
    if (each == line) return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << "not there: " << line << "\n" << text;
}

TEST(Metrics, CountRequestsByKeyModelUpstreamAndOutcome) {
  Metrics metrics;
  metrics.exchange(answered());
  metrics.exchange(answered());
  ExchangeRecord left = answered();
  left.outcome = "client_left";
  metrics.exchange(left);
  const std::string text = metrics.text({});
  EXPECT_TRUE(says(text, R"(weir_requests_total{key="alice",model="deepseek-chat",outcome="ok",upstream="ds"} 2)"));
  EXPECT_TRUE(
      says(text, R"(weir_requests_total{key="alice",model="deepseek-chat",outcome="client_left",upstream="ds"} 1)"));
  EXPECT_TRUE(says(text, R"(weir_request_duration_seconds_count{model="deepseek-chat",upstream="ds"} 3)"));
  EXPECT_TRUE(says(text, R"(weir_request_duration_seconds_bucket{model="deepseek-chat",upstream="ds",le="1.28"} 0)"));
  EXPECT_TRUE(says(text, R"(weir_request_duration_seconds_bucket{model="deepseek-chat",upstream="ds",le="2.56"} 3)"));
  EXPECT_TRUE(says(text, R"(weir_request_duration_seconds_bucket{model="deepseek-chat",upstream="ds",le="1800"} 3)"));
}

TEST(Metrics, CountTokensByKindAndTheErrorOfTheEstimate) {
  Metrics metrics;
  ExchangeRecord record = answered();
  record.input_tokens = 100;
  record.cached_tokens = 40;
  record.output_tokens = 20;
  record.estimated_input_tokens = 112;
  record.reserved_tokens = 300;
  metrics.exchange(record);
  const std::string text = metrics.text({});
  EXPECT_TRUE(says(text, R"(weir_tokens_total{key="alice",kind="input",model="deepseek-chat",upstream="ds"} 100)"));
  EXPECT_TRUE(says(text, R"(weir_tokens_total{key="alice",kind="cached",model="deepseek-chat",upstream="ds"} 40)"));
  EXPECT_TRUE(says(text, R"(weir_tokens_total{key="alice",kind="output",model="deepseek-chat",upstream="ds"} 20)"));
  EXPECT_EQ(text.find(R"(kind="reasoning")"), std::string::npos) << "none was reported";
  EXPECT_TRUE(says(text, R"(weir_reserved_tokens_total{model="deepseek-chat",upstream="ds"} 300)"));
  EXPECT_TRUE(says(text, R"(weir_settled_tokens_total{model="deepseek-chat",upstream="ds"} 120)"));
  EXPECT_TRUE(says(text, R"(weir_estimate_error_ratio_bucket{model="deepseek-chat",le="0.1"} 0)"));
  EXPECT_TRUE(says(text, R"(weir_estimate_error_ratio_bucket{model="deepseek-chat",le="0.15"} 1)"));
  EXPECT_TRUE(says(text, R"(gen_ai_client_token_usage_sum{gen_ai_operation_name="chat",gen_ai_provider_name="ds",)"
                         R"(gen_ai_request_model="deepseek-chat",gen_ai_token_type="input"} 100)"));
}

TEST(Metrics, CountEachTryAndWhatMayHaveBeenBilledTwice) {
  Metrics metrics;
  ExchangeRecord record = answered();
  record.attempts = 3;
  record.tries = {{"ds", 429, "rate_limit"}, {"other", 0, "weir_upstream_reset", true}, {"ds", 200, ""}};
  metrics.exchange(record);
  const std::string text = metrics.text({});
  EXPECT_TRUE(says(text, R"(weir_upstream_responses_total{cause="rate_limit",status="429",upstream="ds"} 1)"));
  EXPECT_TRUE(
      says(text, R"(weir_upstream_responses_total{cause="weir_upstream_reset",status="0",upstream="other"} 1)"));
  EXPECT_TRUE(says(text, R"(weir_upstream_responses_total{cause="",status="200",upstream="ds"} 1)"));
  EXPECT_TRUE(says(text, R"(weir_upstream_retries_total{upstream="other"} 1)"));
  EXPECT_TRUE(says(text, R"(weir_upstream_retries_total{upstream="ds"} 1)"));
  EXPECT_TRUE(says(text, R"(weir_upstream_possible_double_charges_total{upstream="other"} 1)"));
}

TEST(Metrics, CountRefusalsByCode) {
  Metrics metrics;
  ExchangeRecord record;
  record.client = "alice";
  record.model = "whatever the client wrote";
  record.outcome = "refused";
  record.error = "weir_deadline";
  metrics.exchange(record);
  const std::string text = metrics.text({});
  EXPECT_TRUE(says(text, R"(weir_rejections_total{reason="weir_deadline"} 1)"));
  EXPECT_EQ(text.find("whatever"), std::string::npos) << "no upstream has such a model";
}

TEST(Metrics, BoundTheLabelsThatClientsCanInvent) {
  Metrics metrics;
  for (int i = 0; i < 1200; ++i) {
    ExchangeRecord record = answered();
    record.client = "key-" + std::to_string(i);
    record.model = "model-" + std::to_string(i);
    metrics.exchange(record);
  }
  const std::string text = metrics.text({});
  EXPECT_NE(text.find(R"(key="key-999",model="other")"), std::string::npos);
  EXPECT_TRUE(says(text, R"(weir_requests_total{key="other",model="other",outcome="ok",upstream="ds"} 200)"));
  EXPECT_EQ(text.find(R"(key="key-1000")"), std::string::npos);
}

TEST(Metrics, StaySmallHoweverManyModelsAClientInvents) {
  Metrics metrics;
  const std::string known[] = {"configured"};
  metrics.know_models(known);
  ExchangeRecord record = answered();
  record.stream = true;
  record.input_tokens = record.output_tokens = record.reserved_tokens = record.estimated_input_tokens = 10;
  record.first_byte = record.first_content = 1ms;
  for (int i = 0; i < 4'000; ++i) {
    record.model = std::string(120, 'x') + std::to_string(i);
    metrics.exchange(record);
  }
  record.model = "configured";
  metrics.exchange(record);
  const std::string text = metrics.text({});
  EXPECT_LT(text.size(), 2'000'000u);
  EXPECT_TRUE(says(text, R"(weir_requests_total{key="alice",model="other",outcome="ok",upstream="ds"} 3960)"));
  EXPECT_TRUE(says(text, R"(weir_requests_total{key="alice",model="configured",outcome="ok",upstream="ds"} 1)"));
}

TEST(Metrics, ShowLevelsAsTheyAre) {
  Metrics metrics;
  metrics.stream_opened();
  metrics.reloaded(false);
  Levels levels;
  levels.queue_requests = 3;
  levels.queue_bytes = 4096;
  levels.budgets.push_back({"upstream", "ds", "tpm", 5'000'000, 1'200, 300, 7});
  const std::string text = metrics.text(levels);
  EXPECT_TRUE(says(text, "weir_streams_open 1"));
  EXPECT_TRUE(says(text, "weir_config_last_reload_successful 0"));
  EXPECT_TRUE(says(text, "weir_queue_requests 3"));
  EXPECT_TRUE(says(text, "weir_queue_bytes 4096"));
  EXPECT_TRUE(says(text, R"(weir_budget_limit{scope="upstream",name="ds",meter="tpm"} 5000000)"));
  EXPECT_TRUE(says(text, R"(weir_budget_used{scope="upstream",name="ds",meter="tpm"} 1200)"));
  EXPECT_TRUE(says(text, R"(weir_budget_reserved{scope="upstream",name="ds",meter="tpm"} 300)"));
  EXPECT_TRUE(says(text, R"(weir_budget_debt{scope="upstream",name="ds",meter="tpm"} 7)"));
  EXPECT_TRUE(says(text, "# TYPE weir_budget_used gauge"));
  EXPECT_TRUE(says(text, "# TYPE process_cpu_seconds_total counter"));
  EXPECT_NE(text.find("\nprocess_resident_memory_bytes "), std::string::npos);
}

double figure(const std::string& text, const std::string& name) {
  const auto at = text.find("\n" + name + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
}

// The bug: they came from files opened at each scrape, and were 0 or gone when no descriptor was left.
TEST(Metrics, KnowTheProcessWhenNoDescriptorIsLeft) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer needs descriptors of its own";
#endif
  const Metrics metrics;
  const double before = figure(metrics.text({}), "process_open_fds");
  EXPECT_GT(before, 2);
  const test::NoDescriptors none;
  const std::string text = metrics.text({});
  EXPECT_EQ(figure(text, "process_open_fds"), before);
  EXPECT_GT(figure(text, "process_max_fds"), 0);
  EXPECT_GT(figure(text, "process_resident_memory_bytes"), 0);
  EXPECT_GE(figure(text, "process_threads"), 1);
}

// The bug: 1970 where /proc/stat cannot be read, as in a confined service.
TEST(Metrics, KnowWhenTheProcessBegan) {
  const Metrics metrics;
  const std::string text = metrics.text({});
  const double began = figure(text, "process_start_time_seconds"), now = static_cast<double>(std::time(nullptr));
  EXPECT_LE(began, now + 1);
  EXPECT_GT(began, now - 3600) << "tests take less than an hour";
  EXPECT_EQ(figure(metrics.text({}), "process_start_time_seconds"), began) << "it does not waver";
}

TEST(Metrics, MergeTheSilencesOfAStream) {
  Metrics metrics;
  ExchangeRecord record = answered();
  record.content_gaps.note(20ms);
  record.content_gaps.note(20ms);
  record.content_gaps.note(45s);
  record.content_gaps.note(10min);
  record.keepalives_absorbed = 12;
  record.heartbeats_sent = 4;  // which were counted when they were sent
  for (int i = 0; i < 4; ++i) metrics.heartbeat_sent();
  metrics.exchange(record);
  const std::string text = metrics.text({});
  EXPECT_TRUE(says(text, R"(weir_content_gap_seconds_bucket{le="0.01"} 0)"));
  EXPECT_TRUE(says(text, R"(weir_content_gap_seconds_bucket{le="0.025"} 2)"));
  EXPECT_TRUE(says(text, R"(weir_content_gap_seconds_bucket{le="60"} 3)"));
  EXPECT_TRUE(says(text, R"(weir_content_gap_seconds_bucket{le="1800"} 4)"));
  EXPECT_TRUE(says(text, R"(weir_content_gap_seconds_bucket{le="+Inf"} 4)"));
  EXPECT_TRUE(says(text, "weir_keepalives_absorbed_total 12"));
  EXPECT_TRUE(says(text, "weir_heartbeats_sent_total 4"));
}

// Names and types in the tables of docs/metrics.md.
std::map<std::string, std::string> documented() {
  std::ifstream file(WEIR_SOURCE_DIR "/docs/metrics.md");
  std::map<std::string, std::string> names;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| `")) continue;
    std::istringstream cells(line);
    std::string bar, name, type;
    cells >> bar >> name >> bar >> type;
    names[name.substr(1, name.size() - 2)] = type;
  }
  return names;
}

TEST(Metrics, ShowTheConnectionsAsTheyAre) {
  Metrics metrics;
  Levels levels;
  levels.clients = 3;
  levels.upstreams_idle = 2;
  levels.upstreams_opened = 5;
  levels.upstreams_reused = 40;
  const std::string text = metrics.text(levels);
  EXPECT_TRUE(says(text, "weir_client_connections 3"));
  EXPECT_TRUE(says(text, "weir_upstream_connections_idle 2"));
  EXPECT_TRUE(says(text, "# TYPE weir_upstream_connections_opened_total counter"));
  EXPECT_TRUE(says(text, "weir_upstream_connections_opened_total 5"));
  EXPECT_TRUE(says(text, "weir_upstream_connections_reused_total 40"));
}

TEST(Metrics, SayWhichStateEachBreakerIsIn) {
  Metrics metrics;
  Levels levels;
  levels.breakers = {{"ark", "closed"}, {"ds", "half-open"}};
  const std::string text = metrics.text(levels);
  EXPECT_TRUE(says(text, R"(weir_upstream_breaker_state{upstream="ark",state="closed"} 1)"));
  EXPECT_TRUE(says(text, R"(weir_upstream_breaker_state{upstream="ark",state="open"} 0)"));
  EXPECT_TRUE(says(text, R"(weir_upstream_breaker_state{upstream="ds",state="closed"} 0)"));
  EXPECT_TRUE(says(text, R"(weir_upstream_breaker_state{upstream="ds",state="half-open"} 1)"));
}

TEST(Metrics, SayHowManyFailedCallsMayBeRepeatedNow) {
  Metrics metrics;
  Levels levels;
  levels.retry_budgets = {{"ds", 9.5}};
  const std::string text = metrics.text(levels);
  EXPECT_TRUE(says(text, "# TYPE weir_upstream_retry_budget gauge"));
  EXPECT_TRUE(says(text, R"(weir_upstream_retry_budget{upstream="ds"} 9.5)"));
}

TEST(Metrics, TellTheTimeInLineByLane) {
  Metrics metrics;
  ExchangeRecord record = answered();
  record.queued = 3s;
  record.priority = "interactive";
  metrics.exchange(record);
  record.priority = "background";
  record.queued = 20min;
  metrics.exchange(record);
  const std::string text = metrics.text({});
  EXPECT_TRUE(says(text, R"(weir_queue_wait_seconds_bucket{key="alice",priority="interactive",le="2.5"} 0)"));
  EXPECT_TRUE(says(text, R"(weir_queue_wait_seconds_bucket{key="alice",priority="interactive",le="5"} 1)"));
  EXPECT_TRUE(says(text, R"(weir_queue_wait_seconds_bucket{key="alice",priority="background",le="600"} 0)"));
  EXPECT_TRUE(says(text, R"(weir_queue_wait_seconds_bucket{key="alice",priority="background",le="1800"} 1)"));
}

TEST(Metrics, TellTimesByTheNamesOfOpenTelemetryToo) {
  Metrics metrics;
  ExchangeRecord record = answered();
  record.first_content = 1s;
  metrics.exchange(record);
  record.stream = true;
  record.content_gaps.note(250ms);
  record.content_gaps.note(750ms);
  metrics.exchange(record);
  const std::string text = metrics.text({});
  const std::string labels =
      R"({gen_ai_operation_name="chat",gen_ai_provider_name="ds",gen_ai_request_model="deepseek-chat"} )";
  EXPECT_TRUE(says(text, "gen_ai_client_operation_duration_seconds_sum" + labels + "4"));
  EXPECT_TRUE(says(text, "gen_ai_client_operation_time_to_first_chunk_seconds_count" + labels + "1")) << "of streams";
  EXPECT_TRUE(says(text, "gen_ai_client_operation_time_per_output_chunk_seconds_count" + labels + "2"));
  EXPECT_TRUE(says(text, "gen_ai_client_operation_time_per_output_chunk_seconds_sum" + labels + "1"));
}

TEST(Metrics, SayWhatWasLearnedOfAnUpstreamAndWhereFrom) {
  Metrics metrics;
  Levels levels;
  EXPECT_EQ(metrics.text(levels).find("weir_upstream_learned_limit"), std::string::npos);
  levels.learned.push_back({"ds", "concurrency", "outcome", 46});
  EXPECT_TRUE(says(metrics.text(levels),
                   R"(weir_upstream_learned_limit{upstream="ds",meter="concurrency",source="outcome"} 46)"));
}

TEST(Metrics, WhatWasSentAndNotAnsweredInFullMayHaveBeenBilledTwice) {
  Metrics metrics;
  ExchangeRecord record = answered();
  record.tries = {{"a", 0, "weir_upstream_reset"},          // before the request was through
                  {"b", 200, "weir_upstream_reset", true},  // after the head
                  {"b", 200, "weir_upstream_truncated", true},
                  {"c", 0, "weir_upstream_reset", true}};  // the last one: nothing was repeated
  metrics.exchange(record);
  const std::string text = metrics.text({});
  EXPECT_TRUE(says(text, R"(weir_upstream_possible_double_charges_total{upstream="b"} 2)"));
  EXPECT_FALSE(says(text, R"(weir_upstream_possible_double_charges_total{upstream="a"} 1)"));
  EXPECT_FALSE(says(text, R"(weir_upstream_possible_double_charges_total{upstream="c"} 1)"));
}

TEST(Metrics, OfRejectionsNameNoCodeOfAProvider) {
  Metrics metrics;
  for (const char* code : {"weir_deadline", "model_not_found", "insufficient_quota", "Code-7f3a"}) {
    ExchangeRecord refused;
    refused.outcome = "refused";
    refused.error = code;
    metrics.exchange(refused);
  }
  const std::string text = metrics.text({});
  EXPECT_TRUE(says(text, R"(weir_rejections_total{reason="weir_deadline"} 1)"));
  EXPECT_TRUE(says(text, R"(weir_rejections_total{reason="model_not_found"} 1)"));
  EXPECT_TRUE(says(text, R"(weir_rejections_total{reason="upstream_error"} 2)"));
}

TEST(Metrics, CallACallerWithoutAKeyAnonymous) {
  Metrics metrics;
  ExchangeRecord refused;
  refused.outcome = "refused";
  refused.error = "invalid_api_key";
  metrics.exchange(refused);
  EXPECT_TRUE(
      says(metrics.text({}), R"(weir_requests_total{key="anonymous",model="",outcome="refused",upstream=""} 1)"));
}

// Prometheus refuses the whole text for one value that is not.
TEST(Metrics, AreUtf8WhateverTheLabels) {
  Metrics metrics;
  ExchangeRecord record = answered();
  record.model = "m\xED\xA0\x80";
  metrics.exchange(record);
  Levels levels;
  levels.budgets.push_back({"model", "ds/\xE6\xA8", "tpm", 1, 1, 1, 1});
  const std::string text = metrics.text(levels);
  EXPECT_NE(text.find("model=\"m\uFFFD\uFFFD\uFFFD\""), std::string::npos) << text;
  EXPECT_NE(text.find("name=\"ds/\uFFFD\uFFFD\""), std::string::npos) << text;
}

TEST(Metrics, AreThoseOfTheDocument) {
  Metrics metrics;
  ExchangeRecord record = answered();
  record.tries = {{"ds", 0, "weir_upstream_reset", true}, {"ds", 200, ""}};
  record.input_tokens = record.output_tokens = record.estimated_input_tokens = record.reserved_tokens = 10;
  record.first_byte = record.first_content = record.queued = 1s;
  record.content_gaps.note(1s);
  record.stream = true;
  metrics.exchange(record);
  ExchangeRecord refused;
  refused.outcome = "refused";
  refused.error = "weir_deadline";
  metrics.exchange(refused);
  Levels levels;
  levels.budgets.push_back({"upstream", "ds", "tpm", 1, 1, 1, 1});
  levels.breakers.push_back({"ds", "closed"});
  levels.retry_budgets.push_back({"ds", 10});
  levels.learned.push_back({"ds", "concurrency", "outcome", 46});
  std::map<std::string, std::string> shown;
  std::istringstream lines(metrics.text(levels));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string hash, keyword, name, type;
    words >> hash >> keyword >> name >> type;
    if (hash == "#" && keyword == "TYPE") shown[name] = type;
  }
  EXPECT_EQ(shown, documented());
}

}  // namespace
}  // namespace weir::observe
