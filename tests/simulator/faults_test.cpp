// Everything that can be told to go wrong, and the ways of cutting bytes.
#include <gtest/gtest.h>

#include "simulator/client_support.hpp"
#include "simulator/simulator.hpp"
#include "simulator/vocabulary.hpp"

namespace weir::simulator {
namespace {

using namespace std::chrono_literals;
using test::at;
using test::chat;
using test::chat_text;
using test::Client;
using test::Event;
using test::events_of;
using test::fast;
using test::Response;
using End = Response::End;

class Faulty : public ::testing::Test {
 protected:
  Response stream(std::string_view headers) {
    return client_.post("/v1/chat/completions", chat("hi", R"(,"stream":true)"), headers);
  }
  Response whole(std::string_view headers) { return client_.post("/v1/chat/completions", chat("hi"), headers); }
  // A stream's answer when the stream is expected not to end by itself.
  Response stream_for(std::chrono::milliseconds patience, std::string_view headers) {
    client_.send(test::post_text("/v1/chat/completions", chat("hi", R"(,"stream":true)"), headers));
    return client_.receive(patience);
  }

  Simulator simulator_{fast()};
  Client client_{simulator_.port()};
};

TEST_F(Faulty, AnswersTheStatusItIsTold) {
  const Response response = whole("x-sim-status: 529\r\nx-sim-retry-after: 7\r\n");
  EXPECT_EQ(response.status, 529);
  EXPECT_EQ(response.header("retry-after"), "7");
  const Response quota = whole(
      "x-sim-status: 429\r\nx-sim-error-code: insufficient_quota/insufficient_quota\r\nx-sim-retry-after: 150ms\r\n");
  EXPECT_EQ(at(quota.body, "/error/type"), "insufficient_quota");
  EXPECT_EQ(at(quota.body, "/error/code"), "insufficient_quota");
  EXPECT_EQ(quota.header("retry-after-ms"), "150");
  EXPECT_EQ(whole("x-sim-status: 429\r\nx-sim-error-body: [1]\r\n").body, "[1]");
  EXPECT_EQ(client_.get("/v1/models", "x-sim-status: 500\r\n").status, 500);
  EXPECT_EQ(simulator_.stats().accepted, 0u);
}

TEST_F(Faulty, FailsTheFirstOfAScenario) {
  const std::string_view a = "x-sim-fail-first: 2:503\r\nx-sim-scenario: a\r\n";
  const std::string_view b = "x-sim-fail-first: 1:429\r\nx-sim-scenario: b\r\n";
  EXPECT_EQ(whole(a).status, 503);
  EXPECT_EQ(whole(b).status, 429);
  EXPECT_EQ(whole(a).status, 503);
  EXPECT_EQ(whole(b).status, 200);
  EXPECT_EQ(whole(a).status, 200);
  EXPECT_EQ(whole("").status, 200);
}

TEST_F(Faulty, HoldForTheFirstOfAScenarioOnly) {
  const std::string_view headers = "x-sim-drop-after: 0\r\nx-sim-fault-count: 1\r\nx-sim-scenario: once\r\n";
  EXPECT_EQ(whole(headers).end, End::reset);
  Client again(simulator_.port());
  EXPECT_EQ(again.post("/v1/chat/completions", chat("hi"), headers).status, 200);
}

TEST_F(Faulty, StallsAfterSomeContents) {
  for (const int contents : {0, 3}) {
    Client client(simulator_.port());
    client.send(test::post_text("/v1/chat/completions", chat("hi", R"(,"stream":true)"),
                                "x-sim-stall-after: " + std::to_string(contents) + "\r\n"));
    const Response response = client.receive(300ms);
    EXPECT_EQ(response.end, End::timeout);
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(chat_text(events_of(response.body)), words(static_cast<std::uint64_t>(contents)));
  }
}

TEST_F(Faulty, DropsWhereItIsTold) {
  const Response before = stream("x-sim-drop-after: 0\r\n");
  EXPECT_EQ(before.status, 0);
  EXPECT_EQ(before.end, End::reset);

  Client head_client(simulator_.port());
  const Response head =
      head_client.post("/v1/chat/completions", chat("hi", R"(,"stream":true)"), "x-sim-drop-after: head\r\n");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.end, End::reset);
  EXPECT_EQ(head.body, "");

  Client later_client(simulator_.port());
  const Response later =
      later_client.post("/v1/chat/completions", chat("hi", R"(,"stream":true)"), "x-sim-drop-after: 4\r\n");
  EXPECT_EQ(later.end, End::reset);
  EXPECT_EQ(chat_text(events_of(later.body)), words(4));

  Client whole_client(simulator_.port());
  const Response document = whole_client.post("/v1/chat/completions", chat("hi"), "x-sim-drop-after: 20\r\n");
  EXPECT_EQ(document.end, End::reset);
  EXPECT_EQ(document.body.size(), 20u);
  EXPECT_GT(std::stoul(document.header("content-length")), 20u);
}

TEST_F(Faulty, EndsCleanlyButTooEarly) {
  const Response response = stream("x-sim-end-after: 2\r\n");
  EXPECT_EQ(response.end, End::complete);
  EXPECT_EQ(chat_text(events_of(response.body)), words(2));
  EXPECT_EQ(response.body.find("[DONE]"), std::string::npos);
  EXPECT_EQ(response.body.find("\"stop\""), std::string::npos);
  const Response document = whole("x-sim-end-after: 10\r\n");
  EXPECT_EQ(document.end, End::complete);
  EXPECT_EQ(document.body.size(), 10u);
  EXPECT_EQ(whole("").status, 200) << "the connection lives on";
}

TEST_F(Faulty, EndsAfterTheVeryLastContentToo) {
  const Response response = stream("x-sim-end-after: 30\r\n");
  EXPECT_EQ(chat_text(events_of(response.body)), words(30));
  EXPECT_EQ(response.body.find("[DONE]"), std::string::npos);
}

TEST_F(Faulty, SaysAnErrorInTheStream) {
  const Response response = stream("x-sim-error-after: 2\r\nx-sim-error-code: overloaded\r\n");
  const auto events = events_of(response.body);
  EXPECT_EQ(chat_text(events), words(2));
  EXPECT_EQ(at(events.back().data, "/error/code"), "overloaded");
  EXPECT_EQ(events.back().data.substr(0, 9), "{\"error\":");
  EXPECT_EQ(response.end, End::complete);

  const Response messages = client_.post(
      "/v1/messages", R"({"model":"c","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]})",
      "x-sim-error-after: 2\r\n");
  EXPECT_EQ(events_of(messages.body).back().name, "error");
  EXPECT_EQ(at(events_of(messages.body).back().data, "/error/type"), "api_error");

  const Response responses =
      client_.post("/v1/responses", R"({"model":"m","stream":true,"input":"hi"})", "x-sim-error-after: 2\r\n");
  const Event last = events_of(responses.body).back();
  EXPECT_EQ(last.name, "error");
  EXPECT_EQ(at(last.data, "/type"), "error");
  EXPECT_EQ(at(last.data, "/error"), "<none>") << "flat, unlike everybody else's";
}

TEST_F(Faulty, HidesAnErrorInA200) {
  const Response document = whole("x-sim-error-in-200: 1\r\n");
  EXPECT_EQ(document.status, 200);
  EXPECT_EQ(at(document.body, "/error/type"), "server_error");
  const Response response = stream("x-sim-error-in-200: 1\r\n");
  EXPECT_EQ(response.status, 200);
  ASSERT_EQ(events_of(response.body).size(), 1u);
  EXPECT_EQ(at(events_of(response.body)[0].data, "/error/type"), "server_error");
}

TEST_F(Faulty, ClosesWithoutHavingSaidSo) {
  const Response response = whole("x-sim-close-after: 1\r\n");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.header("connection"), "");
  EXPECT_EQ(client_.receive(1s).end, End::closed);
}

TEST_F(Faulty, CutsBytesAnyWay) {
  const std::string wanted = stream("").body;
  const auto same_length = [&](const Response& response) { EXPECT_EQ(response.body.size(), wanted.size()); };

  const Response each_byte = stream("x-sim-chunking: 1\r\n");
  same_length(each_byte);
  for (const std::string& chunk : each_byte.chunks) ASSERT_EQ(chunk.size(), 1u);
  EXPECT_EQ(chat_text(events_of(each_byte.body)), words(30));

  const Response sevens = stream("x-sim-chunking: 7\r\n");
  same_length(sevens);
  EXPECT_LE(sevens.chunks.front().size(), 7u);

  const Response merged = stream("x-sim-chunking: merge\r\n");
  same_length(merged);
  EXPECT_EQ(events_of(merged.chunks.front()).size(), 4u);

  const Response each = stream("x-sim-chunking: each\r\n");
  same_length(each);
  for (const std::string& chunk : each.chunks) EXPECT_EQ(events_of(chunk).size(), 1u);
  EXPECT_EQ(at(whole("x-sim-chunking: 3\r\n").body, "/choices/0/message/content"), words(30));
}

TEST_F(Faulty, FramesAsItIsTold) {
  const Response crlf = stream("x-sim-framing: crlf\r\n");
  EXPECT_NE(crlf.body.find("}\r\n\r\ndata: "), std::string::npos);
  EXPECT_EQ(crlf.body.find("}\n"), std::string::npos);
  EXPECT_EQ(chat_text(events_of(crlf.body)), words(30));
  EXPECT_FALSE(whole("x-sim-framing: chunked\r\n").chunks.empty());

  const Response closed = stream("x-sim-framing: close\r\n");
  EXPECT_EQ(closed.end, End::closed);
  EXPECT_EQ(closed.header("connection"), "close");
  EXPECT_EQ(closed.header("content-length") + closed.header("transfer-encoding"), "");
  EXPECT_EQ(chat_text(events_of(closed.body)), words(30));
}

TEST_F(Faulty, CompressesUnasked) {
  const std::string plain = whole("").body;
  const Response response = whole("x-sim-encoding: gzip\r\n");
  EXPECT_EQ(response.header("content-encoding"), "gzip");
  // Ten bytes of header, five of the one stored block's, eight of trailer; only the id differs, and it has a fixed
  // length.
  ASSERT_EQ(response.body.size(), plain.size() + 23);
  EXPECT_EQ(response.body.substr(0, 3), "\x1f\x8b\x08");
  EXPECT_EQ(at(response.body.substr(15, plain.size()), "/choices/0/message/content"), words(30));
}

TEST_F(Faulty, KeepsAliveAsDeepSeekDoes) {
  const std::string_view headers = "x-sim-ttft: 200ms\r\nx-sim-keepalive-every: 40ms\r\n";
  const Response document = whole(headers);
  EXPECT_EQ(document.body.rfind("\n\n\n", 0), 0u) << document.body;
  EXPECT_EQ(at(document.body, "/choices/0/finish_reason"), "stop");
  const Response response = stream(headers);
  EXPECT_EQ(response.body.rfind(": keep-alive\n\n: keep-alive\n\n", 0), 0u);
  EXPECT_EQ(chat_text(events_of(response.body)), words(30));
  const Response messages = client_.post(
      "/v1/messages", R"({"model":"c","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]})",
      headers);
  EXPECT_EQ(events_of(messages.body)[0].name, "ping");
}

TEST_F(Faulty, SendsTheHeadEarlyWhenTold) {
  client_.send(test::post_text("/v1/chat/completions", chat("hi", R"(,"stream":true)"),
                               "x-sim-ttft: 60s\r\nx-sim-early-head: 1\r\n"));
  EXPECT_EQ(client_.receive(200ms).status, 200);
}

TEST_F(Faulty, KeepsThePace) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(chat_text(events_of(
                stream("x-sim-ttft: 100ms\r\nx-sim-tokens-per-second: 100\r\nx-sim-output-tokens: 21\r\n").body)),
            words(21));
  const auto streamed = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(streamed, 300ms);
  EXPECT_LT(streamed, 3s);
  const auto again = std::chrono::steady_clock::now();
  whole("x-sim-ttft: 100ms\r\nx-sim-tokens-per-second: 100\r\nx-sim-output-tokens: 21\r\n");
  EXPECT_GE(std::chrono::steady_clock::now() - again, 300ms);
}

TEST_F(Faulty, OptionsFailTheFirstAndSome) {
  Options options = fast();
  options.fail_first = {2, 529};
  Simulator first(options);
  Client client(first.port());
  std::string statuses;
  for (int i = 0; i < 4; ++i) statuses += std::to_string(client.post("/v1/chat/completions", chat("hi")).status) + " ";
  EXPECT_EQ(statuses, "529 529 200 200 ");

  options = fast();
  options.fail_rate = {0.5, 429};
  Simulator some(options);
  Client other(some.port());
  int failed = 0;
  for (int i = 0; i < 200; ++i) failed += other.post("/v1/chat/completions", chat("hi")).status == 429;
  EXPECT_GT(failed, 60);
  EXPECT_LT(failed, 140);
  EXPECT_EQ(some.stats().refused[static_cast<std::size_t>(Cause::fail_rate)], static_cast<std::uint64_t>(failed));
}

TEST_F(Faulty, OneRequestHasARateOfItsOwn) {
  EXPECT_EQ(whole("x-sim-fail-rate: 1:503\r\n").status, 503);
  EXPECT_EQ(whole("x-sim-fail-rate: 0\r\n").status, 200);
  EXPECT_EQ(whole("x-sim-fail-rate: 2\r\n").status, 400) << "no probability";
  EXPECT_EQ(whole("").status, 200);
}

}  // namespace
}  // namespace weir::simulator
