// Usage that a provider tells in every chunk: the books follow it, and a client that did not ask for it sees nothing of
// it.
#include <gtest/gtest.h>

#include "proxy/proxy_support.hpp"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

const std::string plain_body = R"({"model":"m","stream":true,"messages":[]})";

proxy::Upstream running_account_at(std::uint16_t port) {
  proxy::Upstream account = upstream_at(port);
  account.running_usage = "chunk_include_usage";
  account.charge.rule = proxy::ChargeRule::input_then_output;
  account.limits.tpm = 10'000;
  return account;
}

std::string event(std::string_view content, std::string_view rest) {
  return R"(data: {"choices":[{"index":0,"delta":{"content":")" + std::string(content) + R"("}}])" + std::string(rest) +
         "}\n\n";
}
std::string usage_so_far(unsigned output) {
  return R"(,"usage":{"prompt_tokens":100,"completion_tokens":)" + std::to_string(output) + "}";
}
const std::string end_of_it = "data: [DONE]\n\n";
const std::string total = "data: {\"choices\":[]" + usage_so_far(70) + "}\n\n";

struct Asked {
  std::string body, received;
};

TEST(RunningUsage, IsAskedForAndEachClientGetsWhatItAskedFor) {
  const std::string asks_total = R"({"stream_options":{"include_usage":true},"model":"m","stream":true,"messages":[]})";
  const std::string asks_running =
      R"({"stream_options":{"chunk_include_usage":true},"model":"m","stream":true,"messages":[]})";
  const Asked cases[] = {
      {plain_body, event("a", "") + event("b", "") + end_of_it},
      {asks_total, event("a", R"(,"usage":null)") + event("b", R"(,"usage":null)") + total + end_of_it},
      {asks_running, event("a", usage_so_far(40)) + event("b", usage_so_far(70)) + end_of_it},
  };
  for (const Asked& asked : cases) {
    ScriptedUpstream upstream;
    upstream.expect_request().send(stream_head() + chunk(event("a", usage_so_far(40)) + event("b", usage_so_far(70))) +
                                   chunk(total + end_of_it) + last_chunk());
    TestProxy proxy(settings_for({running_account_at(upstream.port())}));
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", asked.body));
    EXPECT_EQ(client.read_response().body, asked.received) << asked.body;
    const std::string sent = upstream.requests().at(0).body;
    EXPECT_NE(sent.find(R"("include_usage":true)"), std::string::npos) << sent;
    EXPECT_NE(sent.find(R"("chunk_include_usage":true)"), std::string::npos) << sent;
    EXPECT_EQ(proxy.record().output_tokens, 70u);
  }
}

TEST(RunningUsage, IsInTheBooksWhileTheStreamRuns) {
  ScriptedUpstream upstream;
  // Progress is told every quarter of a second.
  upstream.expect_request()
      .send(stream_head() + chunk(event("a", usage_so_far(40))))
      .pause(300ms)
      .send(chunk(event("b", usage_so_far(70))))
      .hold()
      .send(chunk(total + end_of_it) + last_chunk());
  TestProxy proxy(settings_for({running_account_at(upstream.port())}));
  RawClient client(proxy.port()), operators(proxy.operators_port());
  client.send(post("/v1/chat/completions", plain_body));
  std::string budgets;
  EXPECT_TRUE(wait_for([&] {
    operators.send(get("/weir/budgets"));
    budgets = operators.read_response().body;
    return budgets.find(R"("tpm":{"limit":10000,"used":170,)") != std::string::npos;
  })) << "100 of input as the upstream counts it, 70 of output though two chunks have come: "
      << budgets;
  upstream.release();
  EXPECT_EQ(client.read_response().status(), 200);
}

TEST(RunningUsage, OfAStreamThatTheClientLeavesIsCharged) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(event("a", usage_so_far(40)))).expect_end();
  TestProxy proxy(settings_for({running_account_at(upstream.port())}));
  {
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", plain_body));
    client.read_until(event("a", ""));
  }
  EXPECT_EQ(proxy.record().outcome, "client_left");
  RawClient operators(proxy.operators_port());
  operators.send(get("/weir/budgets"));
  const std::string budgets = operators.read_response().body;
  EXPECT_NE(budgets.find(R"("tpm":{"limit":10000,"used":140,)"), std::string::npos) << budgets;
}

// Twice: first less is asked for, then nothing; the caller sees neither, and both are remembered.
TEST(RunningUsage, IsLeftOutWhereItIsRefusedAndThenTheTotalToo) {
  const auto refusal = [](const std::string& option) {
    return answer_with("400 Bad Request\r\nContent-Type: application/json\r\n",
                       R"({"error":{"message":"Unknown parameter","param":")" + option + R"("}})");
  };
  const std::string whole = stream_head() + chunk(chat_stream()) + last_chunk();
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send(refusal("stream_options.chunk_include_usage"))
      .expect_request()
      .send(whole)
      .expect_request()
      .send(refusal("stream_options"))
      .expect_request()
      .send(whole)
      .expect_request()
      .send(whole);
  TestProxy proxy(settings_for({running_account_at(upstream.port())}));
  RawClient client(proxy.port());
  for (int call = 0; call < 3; ++call) {
    client.send(post("/v1/chat/completions", plain_body));
    const HttpMessage answer = client.read_response();
    EXPECT_EQ(answer.status(), 200);
    EXPECT_EQ(answer.body, chat_stream());
  }
  const std::string total_only = R"({"stream_options":{"include_usage":true},"model":"m","stream":true,"messages":[]})";
  const auto requests = upstream.requests();
  ASSERT_EQ(requests.size(), 5u);
  EXPECT_EQ(requests[1].body, total_only);
  EXPECT_EQ(requests[2].body, total_only) << "remembered";
  EXPECT_EQ(requests[3].body, plain_body);
  EXPECT_EQ(requests[4].body, plain_body) << "remembered";
}

}  // namespace
}  // namespace weir::test
