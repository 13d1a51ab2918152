// What clients may do wrong. Whatever cannot be understood without doubt never reaches an upstream.
#include <gtest/gtest.h>

#include "proxy/proxy_support.hpp"

namespace weir::test {
namespace {

struct BadBodyCase {
  std::string name;
  std::string bytes;
  int status;
  std::string code;
  std::string says;  // stands in the message
};
void PrintTo(const BadBodyCase& row, std::ostream* out) {
  *out << row.name;
}
std::string name_of_case(const ::testing::TestParamInfo<BadBodyCase>& row) {
  return row.param.name;
}

class BadBody : public ::testing::TestWithParam<BadBodyCase> {};

TEST_P(BadBody, IsRefusedAndTheConnectionStaysUsable) {
  const BadBodyCase& row = GetParam();
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer("{}"));
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", row.bytes));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), row.status);
  EXPECT_EQ(answer.field("x-weir-error"), row.code);
  EXPECT_EQ(code_of(answer), row.code);
  EXPECT_EQ(answer.field("content-type"), "application/json");
  EXPECT_TRUE(answer.body.starts_with(R"({"error":{"message":)")) << answer.body;
  EXPECT_NE(answer.body.find(row.says), std::string::npos) << answer.body;
  EXPECT_EQ(answer.count("connection"), 0u);
  EXPECT_TRUE(upstream.requests().empty());
  client.send(post("/v1/chat/completions", chat_body));
  EXPECT_EQ(client.read_response().status(), 200);
  EXPECT_EQ(upstream.requests().size(), 1u);
}

const std::string deep = R"({"model":"m","x":)" + std::string(300, '[') + std::string(300, ']') + "}";

INSTANTIATE_TEST_SUITE_P(
    Rows, BadBody,
    ::testing::Values(
        BadBodyCase{"Empty", "", 400, "invalid_json", "byte 0"},
        BadBodyCase{"NotAnObject", "[1]", 400, "invalid_json", "byte 0"},
        BadBodyCase{"MissingBrace", R"({"model":"m")", 400, "invalid_json", "byte 12"},
        BadBodyCase{"WrongInASkippedValue", R"({"model":"m","x":[1 2]})", 400, "invalid_json", "byte 20"},
        BadBodyCase{"TrailingText", R"({"model":"m"} x)", 400, "invalid_json", "byte 14"},
        BadBodyCase{"BadUtf8", "{\"model\":\"m\",\"x\":\"\xff\"}", 400, "invalid_json", "byte 18"},
        BadBodyCase{"TooDeep", deep, 400, "invalid_json", "256"},
        BadBodyCase{"ModelIsANumber", R"({"model":5})", 400, "invalid_parameter", "model"},
        BadBodyCase{"StreamIsAString", R"({"model":"m","stream":"yes"})", 400, "invalid_parameter", "stream"},
        BadBodyCase{"MessagesIsAString", R"({"model":"m","messages":"hi"})", 400, "invalid_parameter", "messages"},
        BadBodyCase{"NoModel", R"({"messages":[]})", 400, "invalid_parameter", "model"},
        BadBodyCase{"ModelTwice", R"({"model":"a","model":"b"})", 400, "duplicate_key", "model"},
        BadBodyCase{"ModelTwiceInDisguise", R"({"model":"a","mod\u0065l":"b"})", 400, "duplicate_key", "model"},
        BadBodyCase{"StreamTwice", R"({"model":"a","stream":true,"stream":false})", 400, "duplicate_key", "stream"}),
    name_of_case);

class BadHead : public ::testing::TestWithParam<BadBodyCase> {};

TEST_P(BadHead, IsRefusedAndTheConnectionCloses) {
  const BadBodyCase& row = GetParam();
  ScriptedUpstream upstream;
  upstream.answer_always(json_answer("{}"));
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.limits.header_bytes_max = 4096;
  settings.limits.header_count_max = 20;
  settings.limits.body_bytes_max = 1000;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  // What follows must not be taken for a second request.
  client.send(row.bytes + get("/v1/files/smuggled"));
  client.end();
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), row.status) << answer.head;
  EXPECT_EQ(answer.field("x-weir-error"), row.code);
  EXPECT_EQ(code_of(answer), row.code) << answer.body;
  EXPECT_NE(answer.field("connection").find("close"), std::string::npos) << answer.head;
  EXPECT_NE(answer.field("x-request-id"), "");
  EXPECT_NE(answer.body.find(row.says), std::string::npos) << answer.body;
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_EQ(upstream.connections(), 0u);
  EXPECT_EQ(proxy.record().error, row.code);
}

const std::string line_and_fields =
    "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

std::string many_fields(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += "X-" + std::to_string(i) + ": 1\r\n";
  return out;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, BadHead,
    ::testing::Values(
        BadBodyCase{"LengthAndChunked",
                    line_and_fields + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
                    "invalid_parameter", "Transfer-Encoding"},
        BadBodyCase{"TwoLengths", line_and_fields + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400,
                    "invalid_parameter", "Content-Length"},
        BadBodyCase{"LengthList", line_and_fields + "Content-Length: 2, 2\r\n\r\n{}", 400, "invalid_parameter",
                    "Content-Length"},
        BadBodyCase{"SignedLength", line_and_fields + "Content-Length: +2\r\n\r\n{}", 400, "invalid_parameter", ""},
        BadBodyCase{"HugeLength", line_and_fields + "Content-Length: 99999999999999999999\r\n\r\n{}", 400,
                    "invalid_parameter", ""},
        BadBodyCase{"OtherCoding", line_and_fields + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400,
                    "invalid_parameter", "chunked"},
        BadBodyCase{"DisguisedCoding", line_and_fields + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400,
                    "invalid_parameter", "chunked"},
        BadBodyCase{
            "ChunkedInHttp10",
            "POST /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
            "invalid_parameter", "1.0"},
        BadBodyCase{"ObsFold", line_and_fields + "X-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\n{}", 400,
                    "invalid_parameter", "folding"},
        BadBodyCase{"SpaceBeforeColon", line_and_fields + "Content-Length : 2\r\n\r\n{}", 400, "invalid_parameter", ""},
        BadBodyCase{"SpaceBeforeFirstField", "POST /v1/files HTTP/1.1\r\n Host: localhost\r\n\r\n", 400,
                    "invalid_parameter", ""},
        BadBodyCase{"BareCr", line_and_fields + "X-A: 1\r2\r\nContent-Length: 2\r\n\r\n{}", 400, "invalid_parameter",
                    "CR"},
        BadBodyCase{"BareLf", line_and_fields + "X-A: 1\nContent-Length: 2\r\n\r\n{}", 400, "invalid_parameter", "LF"},
        BadBodyCase{"TlsHandshake", std::string("\x16\x03\x01\x02\x00\x01\x00", 7), 400, "invalid_parameter",
                    "plain HTTP"},
        BadBodyCase{"Nul", line_and_fields + std::string("X-A: \0\r\n\r\n", 9), 400, "invalid_parameter", "NUL"},
        BadBodyCase{"NotHttp", "hello\r\n\r\n", 400, "invalid_parameter", ""},
        BadBodyCase{"TlsOnPlainPort", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\r\n\r\n", 15), 400,
                    "invalid_parameter", ""},
        BadBodyCase{"ManyEmptyLines", "\r\n\r\n\r\n\r\n\r\n", 400, "invalid_parameter", "empty lines"},
        BadBodyCase{"NoHost", "GET /v1/files HTTP/1.1\r\n\r\n", 400, "invalid_parameter", "Host"},
        BadBodyCase{"TwoHosts", "GET /v1/files HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "invalid_parameter",
                    "Host"},
        BadBodyCase{"HostWithPath", "GET /v1/files HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "invalid_parameter", "Host"},
        BadBodyCase{"HostWithUser", "GET /v1/files HTTP/1.1\r\nHost: a@localhost\r\n\r\n", 400, "invalid_parameter",
                    "Host"},
        BadBodyCase{"AbsoluteTarget", "GET http://example.com/v1/files HTTP/1.1\r\nHost: localhost\r\n\r\n", 400,
                    "invalid_parameter", "path"},
        BadBodyCase{"Connect", "CONNECT example.com:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "invalid_parameter",
                    "path"},
        BadBodyCase{"FragmentInTarget", "GET /v1/files#x HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "invalid_parameter",
                    ""},
        BadBodyCase{"ConnectionNamesHost", "GET /v1/files HTTP/1.1\r\nHost: localhost\r\nConnection: host\r\n\r\n", 400,
                    "invalid_parameter", "host"},
        BadBodyCase{"LargeHeader", line_and_fields + "X-A: " + std::string(5000, 'a') + "\r\n\r\n", 431,
                    "weir_headers_too_large", "4096"},
        BadBodyCase{"ManyFields", line_and_fields + many_fields(30) + "\r\n", 431, "weir_headers_too_large", "20"},
        BadBodyCase{"LargeBody", line_and_fields + "Content-Length: 2000\r\n\r\n" + std::string(2000, ' '), 413,
                    "weir_body_too_large", "1000"},
        BadBodyCase{
            "LargeChunkedBody",
            line_and_fields + "Transfer-Encoding: chunked\r\n\r\n7d0\r\n" + std::string(2000, ' ') + "\r\n0\r\n\r\n",
            413, "weir_body_too_large", "1000"},
        BadBodyCase{"BadChunkSize", line_and_fields + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n", 400,
                    "invalid_parameter", "chunked"},
        BadBodyCase{"ChunkWithoutCrLf", line_and_fields + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n", 400,
                    "invalid_parameter", "chunked"},
        BadBodyCase{"ChunkSizeBareLf", line_and_fields + "Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n", 400,
                    "invalid_parameter", "chunked"},
        BadBodyCase{"HugeChunkSize", line_and_fields + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 400,
                    "invalid_parameter", "chunked"},
        BadBodyCase{"OtherExpectation", line_and_fields + "Expect: 200-ok\r\nContent-Length: 2\r\n\r\n{}", 417,
                    "invalid_parameter", "Expect"},
        BadBodyCase{
            "WebSocket",
            "GET /v1/responses HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 426,
            "weir_websocket_unsupported", "HTTP"}),
    name_of_case);

TEST(BadKeys, AreLoggedWithTheAddressTheyCameFrom) {
  proxy::Settings settings = settings_for({upstream_at(1)});
  settings.clients.mode = proxy::ClientMode::keys;
  TestProxy proxy(settings);
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", "{}", "Authorization: Bearer nobody's\r\n"));
  EXPECT_EQ(client.read_response().status(), 401);
  EXPECT_EQ(proxy.record().address, "127.0.0.1");
}

// Nobody's key was read: a log that names one would lead to a caller that is none.
TEST(BadHeads, AreLoggedWithTheirAddressAndWithoutAKey) {
  TestProxy proxy(settings_for({upstream_at(1)}));
  RawClient client(proxy.port());
  client.send("GET /v1/models HTTP/1.1\r\nHost : x\r\n\r\n");
  EXPECT_EQ(client.read_response().status(), 400);
  const observe::ExchangeRecord record = proxy.record();
  EXPECT_EQ(record.client, "");
  EXPECT_EQ(record.address, "127.0.0.1");
  EXPECT_NE(observe::format_exchange(record, observe::LogFormat::text).find(" address=127.0.0.1 status=400 "),
            std::string::npos);
}

TEST(BadHeads, OfClientsAreCountedByCode) {
  proxy::Settings settings = settings_for({upstream_at(1)});
  settings.client_timeouts.header = 50ms;
  settings.limits.header_bytes_max = 4096;
  TestProxy proxy(std::move(settings));
  const auto status_of = [](std::uint16_t port, const std::string& bytes) {
    RawClient client(port);
    client.send(bytes);
    return client.read_response().status();
  };
  const std::string malformed = "GET /v1/models HTTP/1.1\r\nHost : x\r\n\r\n";
  EXPECT_EQ(status_of(proxy.port(), malformed), 400);
  EXPECT_EQ(status_of(proxy.port(), malformed), 400);
  EXPECT_EQ(status_of(proxy.port(), "POST /v1/chat/completions HTTP/1.1\r\nHost: loc"), 408);
  EXPECT_EQ(status_of(proxy.port(), line_and_fields + "X-A: " + std::string(5000, 'a') + "\r\n\r\n"), 431);
  EXPECT_EQ(status_of(proxy.operators_port(), malformed), 400);
  RawClient operators(proxy.operators_port());
  std::string metrics;
  EXPECT_TRUE(wait_for([&] {
    operators.send(get("/metrics"));
    metrics = operators.read_response().body;
    return metrics.find(R"(weir_rejections_total{reason="weir_headers_too_large"} 1)") != std::string::npos;
  })) << metrics;
  EXPECT_NE(metrics.find(R"(weir_rejections_total{reason="invalid_parameter"} 2)"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find(R"(weir_rejections_total{reason="weir_request_timeout"} 1)"), std::string::npos) << metrics;
}

TEST(BadInput, SlowHeaderIs408) {
  ScriptedUpstream upstream;
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.client_timeouts.header = 50ms;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: loc");
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 408);
  EXPECT_EQ(code_of(answer), "weir_request_timeout");
  EXPECT_EQ(answer.field("connection"), "close");
  EXPECT_TRUE(client.sees_end());
}

// As far as the request has come it tells whose library is to read the answer.
TEST(BadInput, AHeadThatIsRefusedIsAnsweredInTheShapeOfItsApi) {
  ScriptedUpstream upstream;
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.client_timeouts.header = 50ms;
  settings.limits.header_bytes_max = 4096;
  TestProxy proxy(std::move(settings));
  using Refused = std::pair<std::string, int>;
  for (const bool messages : {true, false}) {
    const std::string line = "POST " + std::string(messages ? "/v1/messages" : "/v1/completions") + " HTTP/1.1\r\n";
    for (const auto& [rest, status] :
         {Refused("Host: loc", 408), Refused("X-A: " + std::string(5000, 'a') + "\r\n\r\n", 431),
          Refused("X-A: 1\n\r\n\r\n", 400), Refused("No-Colon\r\n\r\n", 400)}) {
      RawClient client(proxy.port());
      client.send(line + rest);
      const HttpMessage answer = client.read_response();
      EXPECT_EQ(answer.status(), status);
      EXPECT_EQ(answer.body.starts_with(R"({"type":"error","error":{"type":)"), messages) << answer.body;
      EXPECT_EQ(answer.field("x-weir-queue-ms"), "0");
    }
  }
}

TEST(BadInput, SlowBodyIs408) {
  ScriptedUpstream upstream;
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.client_timeouts.body = 50ms;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body).substr(0, post("/v1/chat/completions", chat_body).size() - 5));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 408);
  EXPECT_EQ(code_of(answer), "weir_request_timeout");
  EXPECT_TRUE(client.sees_end());
  EXPECT_EQ(upstream.connections(), 0u);
}

// The upstream sees an upload that breaks off, never one that looks whole.
TEST(BadInput, SlowUploadIs408) {
  ScriptedUpstream upstream;
  upstream.script().expect_end();
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.client_timeouts.body = 50ms;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send("POST /v1/files HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("first"));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 408);
  EXPECT_TRUE(client.sees_end());
  EXPECT_TRUE(upstream.wait_done());
  EXPECT_FALSE(upstream.received(0).ends_with(last_chunk()));
}

TEST(BadInput, BadChunkInAnUploadNeverLooksWhole) {
  ScriptedUpstream upstream;
  upstream.script().expect_end();
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send("POST /v1/files HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("first") +
              "zz\r\n" + get("/v1/files/smuggled"));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 400);
  EXPECT_EQ(answer.field("connection"), "close");
  client.end();
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_TRUE(upstream.wait_done());
  EXPECT_FALSE(upstream.received(0).ends_with(last_chunk()));
  EXPECT_EQ(upstream.connections(), 1u);
}

TEST(BadInput, IdleConnectionIsClosedWithoutAWord) {
  ScriptedUpstream upstream;
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.client_timeouts.idle = 50ms;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  EXPECT_TRUE(client.sees_end());
}

TEST(BadInput, AnAnswerSurvivesABodyThatIsStillComing) {
  ScriptedUpstream upstream;
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.limits.body_bytes_max = 1000;
  TestProxy proxy(std::move(settings));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", std::string(8u << 20, ' ')));
  EXPECT_EQ(client.read_response().status(), 413);
}

TEST(BadInput, ErrorsOfMessagesHaveAnthropicsShape) {
  ScriptedUpstream upstream;
  TestProxy proxy(settings_for({upstream_at(upstream.port())}));
  RawClient client(proxy.port());
  client.send(post("/v1/messages", "{", "x-request-id: r-1\r\n"));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 400);
  EXPECT_TRUE(answer.body.starts_with(R"({"type":"error","error":{"type":"invalid_request_error","message":)"))
      << answer.body;
  EXPECT_NE(answer.body.find(R"("request_id":"r-1")"), std::string::npos) << answer.body;
}

}  // namespace
}  // namespace weir::test
