// A heartbeat has promised an answer of one form: what else comes must not be poured into it.
#include <gtest/gtest.h>

#include <ostream>

#include "proxy/proxy_support.hpp"

namespace weir::test {
namespace {

struct Misfit {
  std::string name, answer, code;
};

std::ostream& operator<<(std::ostream& out, const Misfit& misfit) {
  return out << misfit.name;
}

const std::string zipped("\x1f\x8b\x08\0\0\0", 6);
const std::string redirect = answer_with("302 Found\r\nContent-Type: text/html\r\nLocation: /x\r\n", "<html>");

class MisfitOfAStream : public ::testing::TestWithParam<Misfit> {};

TEST_P(MisfitOfAStream, IsToldInIt) {
  ScriptedUpstream upstream;
  upstream.expect_request().hold().send(GetParam().answer);
  TestProxy proxy(with_beats(upstream.port()));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", R"({"model":"m","stream":true,"messages":[]})"));
  client.read_until(chunk(": keep-alive\n"));
  upstream.release();
  std::string rest = client.read_until("data: ");
  rest = client.read_until(last_chunk());
  EXPECT_TRUE(rest.starts_with(R"({"error":{"message":)")) << rest;
  EXPECT_TRUE(rest.ends_with("}}\n\n\r\n" + last_chunk())) << rest;
  EXPECT_NE(rest.find(R"("code":")" + GetParam().code + "\""), std::string::npos) << rest;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, MisfitOfAStream,
    ::testing::Values(
        Misfit{"Redirect", redirect, "weir_upstream_invalid"},
        Misfit{"Json", json_answer("{}"), "weir_upstream_invalid"},
        Misfit{"Nothing", "HTTP/1.1 204 No Content\r\n\r\n", "weir_upstream_invalid"},
        Misfit{"CompressedError", answer_with("429 Slow Down\r\nContent-Encoding: gzip\r\n", zipped), "upstream_error"},
        Misfit{"JsonError", json_answer(R"({"error":{"message":"broken","code":"theirs"}})"), "theirs"},
        Misfit{"LargePage", answer_with("502 Bad Gateway\r\nContent-Type: text/html\r\n", std::string(70'000, 'x')),
               "upstream_error"},
        Misfit{"CompressedStream", stream_head("Content-Encoding: gzip\r\n") + chunk(zipped) + last_chunk(),
               "weir_upstream_invalid"}),
    [](const auto& row) { return row.param.name; });

// The error event is the upstream's error object: its libraries go by its type.
TEST(AfterHeartbeat, AnErrorKeepsItsTypeItsParameterAndWhatElseItSays) {
  struct Case {
    std::string path, status, error, told;
  };
  const std::string chat_error =
      R"({"message":"m","type":"t","param":"temperature","code":"c","innererror":{"code":"filter"}})";
  for (const Case& c :
       {Case{"/v1/messages", "529 Overloaded", R"({"type":"overloaded_error","message":"m"})",
             R"("error":{"type":"overloaded_error","message":"m","code":"upstream_error"})"},
        Case{"/v1/messages", "402 Payment Required", R"({"type":"billing_error","message":"m"})",
             R"("error":{"type":"billing_error","message":"m","code":"upstream_error"})"},
        Case{"/v1/chat/completions", "400 Bad Request", chat_error, R"(data: {"error":)" + chat_error + "}\n\n"},
        Case{"/v1/responses", "400 Bad Request", chat_error, R"("error":)" + chat_error + "}\n\n"}}) {
    ScriptedUpstream upstream;
    upstream.expect_request().hold().send(
        answer_with(c.status + "\r\nContent-Type: application/json\r\n", R"({"error":)" + c.error + "}"));
    TestProxy proxy(with_beats(upstream.port()));
    RawClient client(proxy.port());
    client.send(post(c.path, R"({"model":"m","stream":true,"messages":[]})"));
    client.read_until("\r\n\r\n");
    upstream.release();
    const std::string rest = client.read_until("\r\n" + last_chunk());
    EXPECT_NE(rest.find(c.told), std::string::npos) << rest;
  }
}

TEST(AfterHeartbeat, ACodeThatMayBeASecretIsNotInTheLog) {
  ScriptedUpstream upstream;
  upstream.expect_request().hold().send(answer_with("402 Payment Required\r\nContent-Type: application/json\r\n",
                                                    R"({"error":{"message":"m","code":"sk-provider-secret-99"}})"));
  TestProxy proxy(with_beats(upstream.port()));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", R"({"model":"m","stream":true,"messages":[]})"));
  client.read_until("\r\n\r\n");
  upstream.release();
  client.read_until("\r\n" + last_chunk());
  EXPECT_EQ(proxy.record().error, "upstream_error");
}

class MisfitOfJson : public ::testing::TestWithParam<Misfit> {};

TEST_P(MisfitOfJson, BreaksTheFramingAndIsToldToWhoeverAsksAgain) {
  ScriptedUpstream upstream;
  upstream.expect_request().hold().send(GetParam().answer);
  TestProxy proxy(with_beats(upstream.port()));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", R"({"model":"m"})"));
  client.read_until(chunk(" "));
  upstream.release();
  client.read_to_end();
  EXPECT_TRUE(client.sees_reset());
  RawClient again(proxy.port());
  again.send(post("/v1/chat/completions", R"({"model":"m"})", "x-stainless-retry-count: 1\r\n"));
  const HttpMessage answer = again.read_response();
  EXPECT_EQ(answer.status(), 502);
  EXPECT_EQ(code_of(answer), GetParam().code);
  EXPECT_EQ(answer.field("x-should-retry"), "false");
  EXPECT_EQ(upstream.requests().size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, MisfitOfJson,
    ::testing::Values(Misfit{"Redirect", redirect, "weir_upstream_invalid"},
                      Misfit{"Compressed", json_answer(zipped, "Content-Encoding: gzip\r\n"), "weir_upstream_invalid"},
                      Misfit{"Nothing", "HTTP/1.1 204 No Content\r\n\r\n", "weir_upstream_invalid"},
                      Misfit{"Events", stream_head() + chunk(chat_stream()) + last_chunk(), "weir_upstream_invalid"},
                      Misfit{"Error", json_answer(R"({"error":{"message":"broken","code":"theirs"}})"), "theirs"},
                      Misfit{"LargeError", json_answer(R"({"error":{"message":")" + std::string(70'000, 'x') + "\"}}"),
                             "upstream_error"},
                      Misfit{"BrokenAnswer",
                             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" +
                                 chunk(R"({"id":)") + "nonsense\r\n",
                             "weir_upstream_invalid"}),
    [](const auto& row) { return row.param.name; });

// Another caller, another path, another account, and a call that says that it is the first: nobody has answered these.
TEST(TrueAnswer, IsOfTheSameCallAlone) {
  ScriptedUpstream first, second;
  first.expect_request().hold().send(redirect).expect_request().send(json_answer("{}"));
  first.script().expect_request().send(json_answer("{}"));
  second.expect_request().send(json_answer("{}"));
  proxy::Settings settings = settings_for({upstream_at(first.port(), "first"), upstream_at(second.port(), "second")});
  settings.heartbeat = {10ms, 10ms, 10ms, 10ms};
  settings.routes = {proxy::ModelRoute{"*", {proxy::Target{0, {}, 1}, proxy::Target{1, {}, 1}}, false}};
  TestProxy proxy(std::move(settings));
  const std::string body = R"({"model":"m"})";
  RawClient broken(proxy.port());
  broken.send(post("/v1/chat/completions", body, "x-weir-upstream: first\r\n"));
  broken.read_until(chunk(" "));
  first.release();
  broken.read_to_end();
  const auto status = [&](const std::string& path, const std::string& headers) {
    RawClient client(proxy.port());
    client.send(post(path, body, headers));
    return client.read_response().status();
  };
  EXPECT_EQ(status("/v1/chat/completions", "x-weir-upstream: first\r\n"), 502);
  EXPECT_EQ(status("/v1/chat/completions", "x-weir-upstream: second\r\n"), 200);
  EXPECT_EQ(status("/v1/completions", "x-weir-upstream: first\r\n"), 200);
  EXPECT_EQ(status("/v1/chat/completions", "x-weir-upstream: first\r\nx-stainless-retry-count: 0\r\n"), 200);
}

}  // namespace
}  // namespace weir::test
