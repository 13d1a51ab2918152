// A request and its answer cross the proxy byte for byte, except for what a proxy must change.
#include <gtest/gtest.h>

#include "proxy/proxy_support.hpp"

namespace weir::test {
namespace {

TEST(Forwarding, CarriesAJsonCallAndItsAnswerByteForByte) {
  const std::string body =
      "{ \"model\" : \"m\", \"messages\":[ {\"role\":\"user\",\"content\":\"\\u00e9 \xc3\xa9\"} ] , \"x\":1.50e+3 }";
  const std::string reply =
      "{\"id\":\"c1\", \"choices\": [ ],\n \"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n";
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer(reply, "X-Request-Id: theirs\r\nX-Ratelimit-Remaining-Requests: 7\r\n"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", body, "x-request-id: mine-1\r\n"));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.start_line, "HTTP/1.1 200 OK");
  EXPECT_EQ(answer.body, reply);
  EXPECT_EQ(answer.field("content-length"), std::to_string(reply.size()));
  EXPECT_EQ(answer.field("x-request-id"), "mine-1");
  EXPECT_EQ(answer.field("x-weir-upstream"), "up");
  EXPECT_EQ(answer.field("x-weir-upstream-request-id"), "theirs");
  EXPECT_EQ(answer.field("x-weir-attempts"), "1");
  EXPECT_EQ(answer.field("x-ratelimit-remaining-requests"), "7");
  EXPECT_EQ(answer.count("x-weir-error"), 0u);
  const HttpMessage sent = upstream.requests().at(0);
  EXPECT_EQ(sent.start_line, "POST /v1/chat/completions HTTP/1.1");
  EXPECT_EQ(sent.body, body);
  EXPECT_EQ(sent.field("host"), "127.0.0.1:" + std::to_string(upstream.port()));
  EXPECT_EQ(sent.field("authorization"), "Bearer sk-of-up");
  EXPECT_EQ(sent.field("accept-encoding"), "identity");
  EXPECT_EQ(sent.field("via"), "1.1 weir-test");
  EXPECT_EQ(sent.field("x-request-id"), "mine-1");
  const auto record = proxy.record();
  EXPECT_EQ(record.outcome, "ok");
  EXPECT_EQ(record.status, 200);
  EXPECT_EQ(record.client, "open");
  EXPECT_EQ(record.model, "m");
  EXPECT_EQ(record.upstream, "up");
  EXPECT_EQ(record.upstream_request_id, "theirs");
  EXPECT_EQ(record.input_tokens, 3u);
  EXPECT_EQ(record.output_tokens, 4u);
  EXPECT_EQ(record.bytes_in, body.size());
  EXPECT_TRUE(record.first_byte && record.first_content);
}

TEST(Forwarding, RecordsTheNameOfAModelByWholeCharacters) {
  ScriptedUpstream upstream;
  upstream.answer_always([](const HttpMessage&) { return json_answer(R"({"id":"x"})"); });
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  for (const std::string& model : {std::string(127, 'a') + "é", std::string("m\\ud800")}) {
    client.send(post("/v1/chat/completions", R"({"model":")" + model + R"(","messages":[]})"));
    EXPECT_EQ(client.read_response().status(), 200);
  }
  EXPECT_EQ(proxy.record(0).model, std::string(127, 'a'));
  EXPECT_EQ(proxy.record(1).model, "m\uFFFD\uFFFD\uFFFD");
}

}  // namespace
}  // namespace weir::test
