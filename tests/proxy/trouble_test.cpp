// What upstreams in trouble do before they answer, and what a caller sees of it, byte by byte: the stories that
// tests/stories/trouble.json tells with SDKs.
#include <gtest/gtest.h>

#include <ostream>
#include <vector>

#include "proxy/proxy_support.hpp"

namespace weir::test {
namespace {

const std::string whole_answer = R"({"id":"c1","choices":[]})";
const std::string chunked_json_head =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";

std::string error_answer(const std::string& status_and_headers, const std::string& error) {
  return answer_with(status_and_headers + "Content-Type: application/json\r\n", R"({"error":{)" + error + "}}");
}
const std::string turned_away = R"("message":"Slow down","type":"requests","param":null,"code":"rate_limit_exceeded")";

enum class Form { whole, stream };
// After the bytes of the first try.
enum class Then { goes_on, resets, closes, hangs };

struct Trouble {
  const char* name;
  Form form;
  std::string bytes;  // of the first try
  Then then = Then::goes_on;
  bool again = true;  // a second try answers
};

std::ostream& operator<<(std::ostream& out, const Trouble& trouble) {
  return out << trouble.bytes;
}

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

const Trouble absorbed[] = {
    {"KeepAlivesThenAnAnswer", Form::stream,
     stream_head() + repeated(chunk(": keep-alive\n\n"), 10) + chunk(chat_stream()) + last_chunk(), Then::goes_on,
     false},
    {"BlankLinesThenJson", Form::whole,
     chunked_json_head + repeated(chunk("\n"), 10) + chunk(whole_answer) + last_chunk(), Then::goes_on, false},
    {"KeepAlivesThenAReset", Form::stream, stream_head() + repeated(chunk(": keep-alive\n\n"), 10), Then::resets},
    {"BlankLinesThenAReset", Form::whole, chunked_json_head + repeated(chunk("\n"), 10), Then::resets},
    {"KeepAlivesThenACleanEnd", Form::stream, stream_head() + chunk(": keep-alive\n\n") + last_chunk()},
    {"AHeadThenAReset", Form::whole, chunked_json_head, Then::resets},
    {"NoHeadButAReset", Form::whole, "", Then::resets},
    {"BlankLinesOfKnownLength", Form::whole, json_answer("\n\n")},
    {"BlankLinesThenTheEndOfTheConnection", Form::whole,
     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n\n\n\n", Then::closes},
    {"NoBodyAtAll", Form::whole, json_answer("")},
    {"NoBodyOfAStream", Form::stream, answer_with("200 OK\r\nContent-Type: text/event-stream\r\n", "")},
    {"AnErrorOfAnthropicsWithStatus200", Form::whole,
     json_answer(R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})")},
    {"AnErrorObjectWithStatus200", Form::whole,
     chunked_json_head + chunk(R"({"error":{"message":"broken","type":"api_error"}})") + last_chunk()},
    {"ALargeErrorObjectWithStatus200", Form::whole,
     chunked_json_head + chunk(R"({"error":{"message":"broken","dump":")" + std::string(70'000, 'x')), Then::hangs},
    {"AnErrorBehindOtherMembersWithStatus200", Form::whole,
     json_answer(R"({"id":"c1","object":"chat.completion","choices":null,"error":{"message":"broken","code":500}})")},
    {"AnErrorBehindOtherMembersInChunks", Form::whole,
     chunked_json_head + chunk(R"({"id":"c1",)") + chunk(R"("error":{"message":"bro)") + chunk(R"(ken"}})") +
         last_chunk()},
    {"AnErrorInAnArrayWithStatus200", Form::whole, json_answer(R"([{"error":{"code":503,"message":"busy"}}])")},
    {"AFlatErrorWithStatus200", Form::whole, json_answer(R"({"message":"rate limiting","data":null})")},
    {"AnErrorBehindAByteOrderMark", Form::whole, json_answer("\xEF\xBB\xBF{\"error\":{\"message\":\"broken\"}}")},
    {"AChoiceThatFailedWithStatus200", Form::whole,
     json_answer(R"({"id":"c1","choices":[{"finish_reason":"error","message":{"role":"assistant","content":""},)"
                 R"("error":{"code":502,"message":"broken"}}]})")},
    {"AnErrorEventBeforeAnyContent", Form::stream,
     stream_head() + chunk("data: {\"error\":{\"message\":\"broken\"}}\n\n") + last_chunk()},
    {"AnErrorEventThenDone", Form::stream,
     stream_head() + chunk("data: {\"error\":{\"message\":\"broken\"}}\n\ndata: [DONE]\n\n") + last_chunk()},
    {"AnErrorEventAndNoEnd", Form::stream, stream_head() + chunk("data: {\"error\":{\"message\":\"broken\"}}\n\n"),
     Then::hangs},
    {"JsonThatBreaksBeforeItsContent", Form::whole, chunked_json_head + chunk(R"({"id":"c1","object":"chat.comp)"),
     Then::resets},
    {"KeepAlivesThenDone", Form::stream,
     stream_head() + repeated(chunk(": keep-alive\n\n"), 3) + chunk("data: [DONE]\n\n") + last_chunk()},
    {"DoneAndNoEnd", Form::stream, stream_head() + chunk("data: [DONE]\n\n"), Then::hangs},
    {"ARoleThenDone", Form::stream,
     stream_head() +
         chunk("data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n") +
         chunk("data: [DONE]\n\n") + last_chunk()},
    {"HintInMilliseconds", Form::whole, error_answer("429 Too Many Requests\r\nretry-after-ms: 20\r\n", turned_away)},
    {"HintInFractionsOfSeconds", Form::whole,
     error_answer("429 Too Many Requests\r\nRetry-After: 0.02\r\n", turned_away)},
    {"HintAsADateThatHasPassed", Form::whole,
     error_answer("429 Too Many Requests\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n", turned_away)},
    {"HintBesideACompressedText", Form::whole,
     answer_with("429 Too Many Requests\r\nretry-after-ms: 20\r\nContent-Encoding: gzip\r\n", "\x1f\x8b\x08")},
    {"HintOfARefusalThatBreaks", Form::whole,
     "HTTP/1.1 429 Too Many Requests\r\nretry-after-ms: 20\r\nContent-Length: 100\r\n\r\n{\"err", Then::closes},
    {"HintOfGoogle", Form::whole,
     error_answer("429 Too Many Requests\r\n",
                  R"("code":429,"message":"m","details":[{"@type":"x/google.rpc.RetryInfo","retryDelay":"0.02s"}])")},
    {"HintInWords", Form::whole,
     error_answer("429 Too Many Requests\r\n",
                  R"("message":"Please try again in 20ms.","code":"rate_limit_exceeded")")},
    {"NoHint", Form::stream, error_answer("429 Too Many Requests\r\n", turned_away)},
    {"Unavailable", Form::whole, error_answer("503 Service Unavailable\r\n", R"("message":"busy")")},
    {"Overloaded", Form::stream, error_answer("529 Overloaded\r\n", R"("type":"overloaded_error","message":"busy")")},
    {"ArkIsOverloaded", Form::whole,
     error_answer("429 Too Many Requests\r\n", R"("code":"ServerOverloaded","message":"m","param":"","type":"x")")},
};

class UpstreamInTrouble : public ::testing::TestWithParam<Trouble> {
 protected:
  static proxy::Settings settings(std::uint16_t port) {
    proxy::Settings made = settings_for({upstream_at(port)});
    made.retry.enabled = true;
    made.retry.pause_min = 1ms;
    made.retry.pause_max = 5ms;
    made.breaker_enabled = true;
    const auto rule = [](std::optional<int> status, const char* code, proxy::Cause cause) {
      proxy::ErrorRule one;
      one.status = status;
      one.code = code;
      one.cause = cause;
      return one;
    };
    made.upstreams[0].error_rules = {rule(429, "insufficient_quota", proxy::Cause::quota),
                                     rule(429, "QuotaExceeded", proxy::Cause::quota),
                                     rule(402, "", proxy::Cause::quota),
                                     rule(429, "ServerOverloaded", proxy::Cause::overload),
                                     rule(429, "", proxy::Cause::minute_budget),
                                     rule(503, "", proxy::Cause::overload),
                                     rule(529, "", proxy::Cause::overload)};
    return made;
  }
  static std::string call(Form form) {
    return post("/v1/chat/completions", form == Form::whole ? R"({"model":"m","messages":[]})"
                                                            : R"({"model":"m","stream":true,"messages":[]})");
  }
};

TEST_P(UpstreamInTrouble, IsRiddenOutAndTheCallerSeesOneCleanAnswer) {
  const Trouble& trouble = GetParam();
  ScriptedUpstream upstream;
  auto& script = upstream.expect_request().send(trouble.bytes);
  if (trouble.then == Then::resets) script.reset();
  if (trouble.then == Then::closes) script.close();
  if (trouble.then == Then::hangs) script.expect_end();
  const std::string good =
      trouble.form == Form::whole ? json_answer(whole_answer) : stream_head() + chunk(chat_stream()) + last_chunk();
  if (trouble.again) (trouble.then != Then::goes_on ? upstream.next_connection() : script).expect_request().send(good);
  TestProxy proxy(settings(upstream.port()));
  RawClient client(proxy.port());
  client.send(call(trouble.form));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 200);
  EXPECT_TRUE(answer.complete());
  EXPECT_EQ(answer.field("content-type"), trouble.form == Form::whole ? "application/json" : "text/event-stream");
  EXPECT_EQ(answer.body, trouble.form == Form::whole ? whole_answer : chat_stream());
  EXPECT_EQ(answer.field("x-weir-attempts"), trouble.again ? "2" : "1");
  EXPECT_EQ(answer.count("x-weir-error") + answer.count("retry-after"), 0u);
  EXPECT_EQ(upstream.requests().size(), trouble.again ? 2u : 1u);
}

class UpstreamWithoutTrouble : public UpstreamInTrouble {};

TEST_F(UpstreamWithoutTrouble, MaySaySoInFrontOfItsAnswer) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer(R"({"error":false,"id":"c1"})"));
  TestProxy proxy(settings(upstream.port()));
  RawClient client(proxy.port());
  client.send(call(Form::whole));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.body, R"({"error":false,"id":"c1"})");
  EXPECT_EQ(answer.field("x-weir-attempts"), "1");
}

TEST_F(UpstreamWithoutTrouble, MayHaveNoContentButUsage) {
  const std::string events =
      "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":0}}\n\ndata: [DONE]\n\n";
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(events) + last_chunk());
  TestProxy proxy(settings(upstream.port()));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions",
                   R"({"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]})"));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.body, events);
  EXPECT_EQ(answer.field("x-weir-attempts"), "1");
}

TEST_F(UpstreamWithoutTrouble, IsNotOneThatOnlySaysDone) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(stream_head() + chunk(": keep-alive\n\ndata: [DONE]\n\n") + last_chunk());
  proxy::Settings without_retries = settings(upstream.port());
  without_retries.retry.enabled = false;
  TestProxy proxy(without_retries);
  RawClient client(proxy.port());
  client.send(call(Form::stream));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 502);
  EXPECT_EQ(code_of(answer), "weir_upstream_truncated");
}

class UpstreamThatDrips : public UpstreamInTrouble {
 protected:
  static constexpr const char* head =
      "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
  static void drip(ScriptedUpstream& upstream, int times) {
    upstream.abandon();
    auto& script = upstream.expect_request().send(head);
    for (int i = 0; i < times; ++i) script.send(" ").pause(100ms);
    script.expect_end();
  }
};

TEST_F(UpstreamThatDrips, AnErrorHasTheTimeOfTheCallAndNoOtherTry) {
  ScriptedUpstream upstream;
  drip(upstream, 6);
  proxy::Settings limited = settings(upstream.port());
  limited.upstreams[0].timeouts.total = 300ms;
  TestProxy proxy(limited);
  RawClient client(proxy.port());
  client.send(call(Form::whole));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 504);
  EXPECT_EQ(code_of(answer), "weir_total_timeout");
  EXPECT_EQ(answer.field("x-weir-attempts"), "1");
}

TEST_F(UpstreamThatDrips, AnErrorIsNotWaitedForToTheEnd) {
  ScriptedUpstream upstream;
  drip(upstream, 60);
  upstream.next_connection().expect_request().send(json_answer(whole_answer));
  TestProxy proxy(settings(upstream.port()));
  RawClient client(proxy.port());
  const auto since = std::chrono::steady_clock::now();
  client.send(call(Form::whole));
  const HttpMessage answer = client.read_response();
  EXPECT_LT(std::chrono::steady_clock::now() - since, 5s) << "it drips for longer";
  EXPECT_EQ(answer.body, whole_answer);
  EXPECT_EQ(answer.field("x-weir-attempts"), "2");
}

class UpstreamInTwoReads : public UpstreamInTrouble {};

TEST_F(UpstreamInTwoReads, SaysAnErrorAndDone) {
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send(stream_head() + chunk("data: {\"error\":{\"message\":\"broken\"}}\n\n"))
      .pause(20ms)
      .send(chunk("data: [DONE]\n\n") + last_chunk())
      .expect_request()
      .send(stream_head() + chunk(chat_stream()) + last_chunk());
  TestProxy proxy(settings(upstream.port()));
  RawClient client(proxy.port());
  client.send(call(Form::stream));
  EXPECT_EQ(client.read_response().body, chat_stream());
}

INSTANTIATE_TEST_SUITE_P(Once, UpstreamInTrouble, ::testing::ValuesIn(absorbed),
                         [](const auto& row) { return std::string(row.param.name); });

class UpstreamWithoutMoney : public UpstreamInTrouble {};

TEST_P(UpstreamWithoutMoney, IsCalledOnceAndItsErrorPassesAsItCame) {
  const Trouble& trouble = GetParam();
  ScriptedUpstream upstream;
  upstream.expect_request().send(trouble.bytes);
  TestProxy proxy(settings(upstream.port()));
  RawClient client(proxy.port());
  client.send(call(trouble.form));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(trouble.bytes.substr(0, 12), "HTTP/1.1 " + std::to_string(answer.status()));
  EXPECT_TRUE(trouble.bytes.ends_with("\r\n\r\n" + answer.body)) << answer.body;
  EXPECT_EQ(answer.count("x-weir-error"), 0u);
  EXPECT_EQ(answer.field("x-should-retry"), "false");
  EXPECT_EQ(answer.field("x-weir-attempts"), "1");
}

const Trouble without_money[] = {
    {"InsufficientQuota", Form::whole,
     error_answer("429 Too Many Requests\r\n",
                  R"("message":"m","type":"insufficient_quota","code":"insufficient_quota")")},
    {"InsufficientQuotaOfAStream", Form::stream,
     error_answer("429 Too Many Requests\r\n",
                  R"("message":"m","type":"insufficient_quota","code":"insufficient_quota")")},
    {"ArksQuotaExceeded", Form::whole,
     error_answer("429 Too Many Requests\r\n", R"("code":"QuotaExceeded","message":"m","param":"","type":"x")")},
    {"NoBalance", Form::whole, error_answer("402 Payment Required\r\n", R"("message":"Insufficient Balance")")},
};
INSTANTIATE_TEST_SUITE_P(Once, UpstreamWithoutMoney, ::testing::ValuesIn(without_money),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace weir::test
