// Upstreams that do not take stream_options are called without, and their callers see nothing of it.
#include "proxy/usage_refusals.hpp"

#include <gtest/gtest.h>

#include "proxy/proxy_support.hpp"

namespace weir::test {
namespace {

using namespace std::chrono_literals;
using proxy::AskUsage;
using proxy::refuses_stream_options;
using proxy::UsageRefusals;

const net::Instant refused_at{1000h};
const std::string asked_body = R"({"stream_options":{"include_usage":true},"model":"m","stream":true,"messages":[]})";

std::string refusal_of_option() {
  return answer_with("400 Bad Request\r\nContent-Type: application/json\r\n",
                     R"({"error":{"message":"Unknown parameter: 'stream_options'.","param":"stream_options"}})");
}
std::string whole_stream() {
  return stream_head() + chunk(chat_stream()) + last_chunk();
}

TEST(UsageRefusals, AreKnownByModelForAnHour) {
  UsageRefusals refusals;
  EXPECT_EQ(refusals.most("up", "m", refused_at), AskUsage::running);
  refusals.remember("up", "m", AskUsage::total, refused_at);
  EXPECT_EQ(refusals.most("up", "m", refused_at + 59min), AskUsage::nothing);
  EXPECT_EQ(refusals.most("up", "n", refused_at), AskUsage::running);
  EXPECT_EQ(refusals.most("two", "m", refused_at), AskUsage::running);
  EXPECT_EQ(refusals.most("up", "m", refused_at + 60min), AskUsage::running) << "servers are updated";
}

TEST(UsageRefusals, OfRunningUsageLeaveTheTotal) {
  UsageRefusals refusals;
  refusals.remember("up", "m", AskUsage::running, refused_at);
  EXPECT_EQ(refusals.most("up", "m", refused_at), AskUsage::total);
  refusals.remember("up", "m", AskUsage::total, refused_at);
  EXPECT_EQ(refusals.most("up", "m", refused_at), AskUsage::nothing);
}

TEST(UsageRefusals, AreToldByStatusAndWords) {
  protocol::UpstreamError named, worded, other;
  named.param = "stream_options";
  worded.message = "extra fields not permitted: include_usage";
  other.message = "model does not exist";
  EXPECT_TRUE(refuses_stream_options(400, named));
  EXPECT_TRUE(refuses_stream_options(422, worded));
  worded.message = "Unexpected keyword 'continuous_usage_stats'";
  EXPECT_TRUE(refuses_stream_options(400, worded));
  EXPECT_FALSE(refuses_stream_options(400, other));
  EXPECT_FALSE(refuses_stream_options(500, named));
}

TEST(UsageRefusals, AreHiddenFromCallersWhoDidNotAsk) {
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send(refusal_of_option())
      .expect_request()
      .send(whole_stream())
      .expect_request()
      .send(whole_stream());
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  for (int call = 0; call < 2; ++call) {
    client.send(post("/v1/chat/completions", stream_body));
    const HttpMessage answer = client.read_response();
    EXPECT_EQ(answer.status(), 200);
    EXPECT_EQ(answer.body, chat_stream());
  }
  const auto requests = upstream.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].body, asked_body);
  EXPECT_EQ(requests[1].body, stream_body) << "again, as the caller wrote it";
  EXPECT_EQ(requests[2].body, stream_body) << "remembered";
}

TEST(UsageRefusals, AreGivenToCallersWhoAsked) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(refusal_of_option());
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", asked_body));
  EXPECT_EQ(client.read_response().status(), 400);
}

}  // namespace
}  // namespace weir::test
