// How long a caller's library waits, as that library counts: which of its timeouts bounds the wait for a budget.
#include "proxy/patience.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "proxy/proxy_support.hpp"

namespace weir::proxy {
namespace {

using test::head_with;

using namespace std::chrono_literals;

struct PatienceRow {
  const char* name;
  std::vector<net::Field> fields;
  std::optional<Duration> first_beat;  // of the heartbeats
  Duration expected_answer{0};
  Duration bound{0};  // of a queue.wait_max of ten minutes
};

TEST(WaitBound, IsTheSmallestOfTheSettingTheCallerAndItsLibrary) {
  const net::Field python{"x-stainless-lang", "python"}, node{"x-stainless-lang", "js"};
  const net::Field openai_6{"user-agent", "OpenAI/JS 6.49.0"};
  const net::Field java{"x-stainless-lang", "java"};
  const PatienceRow rows[] = {
      {"nobody says anything", {}, 5s, 0s, 10min},
      {"the caller says less", {{"x-weir-max-wait", "1.5"}}, 5s, 0s, 1500ms},
      {"the caller says more", {{"x-weir-max-wait", "3600"}}, 5s, 0s, 10min},
      {"the caller will not wait", {{"x-weir-max-wait", "0"}}, 5s, 0s, 0s},
      {"the caller says it with a unit", {{"x-weir-max-wait", "2s"}}, 5s, 0s, 2s},
      {"in milliseconds", {{"x-weir-max-wait", "1500ms"}}, 5s, 0s, 1500ms},
      {"in minutes", {{"x-litellm-max-queue-wait", "1.5m"}}, 5s, 0s, 90s},
      {"in hours", {{"x-weir-max-wait", "1h"}}, 5s, 0s, 10min},
      {"nonsense", {{"x-weir-max-wait", "soon"}}, 5s, 0s, 10min},
      {"a unit without a number", {{"x-weir-max-wait", "s"}}, 5s, 0s, 10min},
      {"an unknown unit", {{"x-weir-max-wait", "2x"}}, 5s, 0s, 10min},
      {"less than nothing", {{"x-weir-max-wait", "-1"}}, 5s, 0s, 10min},
      {"another gateway's word", {{"x-litellm-max-queue-wait", "2"}}, 5s, 0s, 2s},
      {"Python: a gap between bytes, fed", {python, {"x-stainless-read-timeout", "20"}}, 5s, 0s, 10min},
      {"Python: no heartbeats", {python, {"x-stainless-read-timeout", "20"}}, {}, 0s, 19750ms},
      {"Python: they come too late", {python, {"x-stainless-read-timeout", "5"}}, 5s, 0s, 4750ms},
      {"Python: its total timeout is none", {python, {"x-stainless-timeout", "20"}}, {}, 0s, 10min},
      {"Node: the first byte, fed", {node, {"x-stainless-timeout", "20"}}, 5s, 0s, 10min},
      {"Node: no heartbeats", {node, {"x-stainless-timeout", "20"}}, {}, 0s, 19750ms},
      {"Java: wait and answer", {java, {"x-stainless-timeout", "60"}}, 5s, 12s, 47750ms},
      {"Java: no time for more than the answer", {java, {"x-stainless-timeout", "10"}}, 5s, 12s, 0s},
      {"Node: what its fetch allows is less", {node, openai_6, {"x-stainless-timeout", "600"}}, {}, 0s, 299750ms},
      {"Node: it says less than its fetch", {node, openai_6, {"x-stainless-timeout", "20"}}, {}, 0s, 19750ms},
      {"Node: nothing said", {node, openai_6}, {}, 0s, 299750ms},
      {"Node: nothing said, but fed", {node, openai_6}, 240s, 0s, 10min},
      {"Node: nothing said, fed too late", {node, openai_6}, 300s, 0s, 299750ms},
      {"Node: not with fetch", {node, {"user-agent", "OpenAI/JS 4.104.0"}}, {}, 0s, 10min},
      {"Node: another runtime", {node, openai_6, {"x-stainless-runtime", "bun"}}, {}, 0s, 10min},
      {"Anthropic's library", {{"user-agent", "Anthropic/JS 0.60.0"}}, {}, 0s, 299750ms},
      {"the AI SDK",
       {{"user-agent", "ai-sdk/openai-compatible/2.0.87 ai-sdk/provider-utils/4.0.1 runtime/node.js/22"}},
       {},
       0s,
       299750ms},
      {"the AI SDK elsewhere", {{"user-agent", "ai/6.0.326 ai-sdk/openai/3.0.141 runtime/bun/1.2"}}, {}, 0s, 10min},
      {"LangChain JS", {{"user-agent", "langchainjs-openai/1.0.0 ((node/v22.0.0; linux; x64))"}}, {}, 0s, 299750ms},
      {"fetch alone", {{"user-agent", "node"}}, {}, 0s, 299750ms},
      {"curl", {{"user-agent", "curl/8.5.0"}}, {}, 0s, 10min},
  };
  for (const PatienceRow& row : rows) {
    EXPECT_EQ(wait_bound(head_with(row.fields), 10min, row.first_beat, row.expected_answer).time, row.bound)
        << row.name;
  }
}

// The bug: "may wait 9.75 s, which is too short", to people who had set no such time anywhere they could see.
TEST(WaitBound, SaysWhoseWordItIs) {
  const std::pair<std::vector<net::Field>, const char*> rows[] = {
      {{}, "queue.wait_max"},
      {{{"x-weir-max-wait", "3600"}}, "queue.wait_max"},
      {{{"x-weir-max-wait", "2"}}, "x-weir-max-wait"},
      {{{"x-litellm-max-queue-wait", "2"}}, "x-litellm-max-queue-wait"},
      {{{"x-stainless-lang", "python"}, {"x-stainless-read-timeout", "10"}},
       "the timeout of its client, x-stainless-read-timeout"},
      {{{"x-stainless-lang", "js"}, {"x-stainless-timeout", "10"}}, "the timeout of its client, x-stainless-timeout"},
      {{{"x-stainless-lang", "js"}, {"x-stainless-timeout", "10"}, {"user-agent", "OpenAI/JS 6.49.0"}},
       "the timeout of its client, x-stainless-timeout"},
      {{{"user-agent", "OpenAI/JS 6.49.0"}}, "Node's fetch, which gives up after 300 s"},
      {{{"x-stainless-lang", "go"}, {"x-stainless-timeout", "10"}},
       "the timeout of its client, x-stainless-timeout, less the time for an answer"},
  };
  for (const auto& [fields, by] : rows) EXPECT_EQ(wait_bound(head_with(fields), 10min, std::nullopt, 0s).by, by);
}

}  // namespace
}  // namespace weir::proxy
