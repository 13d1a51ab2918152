// Errors out in each API's shape, and in from every dialect seen.
#include "protocol/error_body.hpp"

#include <gtest/gtest.h>

#include "protocol/reference_json.hpp"

namespace weir::protocol {
namespace {

const ErrorAnswer answer{"invalid_request_error", "invalid_json", "say \"what\"\nto do \x01\xFF", "messages[0]"};

TEST(ErrorBody, HasTheShapeOfItsApi) {
  EXPECT_EQ(
      write_error_body(answer, Api::chat, "req_1"),
      "{\"error\":{\"message\":\"say \\\"what\\\"\\nto do \\u0001\xEF\xBF\xBD\",\"type\":\"invalid_request_error\","
      "\"param\":\"messages[0]\",\"code\":\"invalid_json\"}}");
  EXPECT_EQ(write_error_body({"api_error", "", "m", ""}, Api::other, ""),
            R"({"error":{"message":"m","type":"api_error","param":null,"code":null}})");
  EXPECT_EQ(write_error_body({"api_error", "weir_loop", "m", ""}, Api::messages, "req_1"),
            R"({"type":"error","error":{"type":"api_error","message":"m","code":"weir_loop"},"request_id":"req_1"})");
}

TEST(ErrorEvent, HasTheShapeOfItsApi) {
  const ErrorAnswer error{"api_error", "weir_upstream_reset", "m", ""};
  EXPECT_EQ(
      write_error_event(error, Api::chat, "r"),
      "data: "
      "{\"error\":{\"message\":\"m\",\"type\":\"api_error\",\"param\":null,\"code\":\"weir_upstream_reset\"}}\n\n");
  EXPECT_EQ(write_error_event(error, Api::completions, "r"), write_error_event(error, Api::chat, "r"));
  EXPECT_EQ(write_error_event(error, Api::messages, "r"),
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"m\","
            "\"code\":\"weir_upstream_reset\"},\"request_id\":\"r\"}\n\n");
  EXPECT_EQ(write_error_event(error, Api::responses, "r"),
            "event: error\ndata: {\"type\":\"error\",\"code\":\"weir_upstream_reset\",\"message\":\"m\",\"param\":null,"
            "\"sequence_number\":0,\"error\":{\"message\":\"m\",\"type\":\"api_error\",\"param\":null,"
            "\"code\":\"weir_upstream_reset\"}}\n\n");
}

TEST(ErrorEvent, IsOneLineOfJsonWhateverTheMessage) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  for (const Api api : {Api::chat, Api::messages, Api::responses}) {
    const std::string event = write_error_event({all, all, all, all}, api, all);
    const std::string data = event.substr(event.find('{'), event.size() - event.find('{') - 2);
    EXPECT_TRUE(reference::Json(data).valid()) << data;
    EXPECT_EQ(data.find('\n'), std::string::npos);
    EXPECT_EQ(data.find('\r'), std::string::npos);
  }
}

struct ErrorCase {
  const char* name;
  const char* body;
  const char* expected;  // code|type|message|param|retry_delay|limit_source
};

TEST(ErrorBody, IsReadInEveryDialect) {
  const ErrorCase cases[] = {
      {"OpenAI", R"({"error":{"message":"m","type":"tokens","param":null,"code":"rate_limit_exceeded"}})",
       "rate_limit_exceeded|tokens|m|||"},
      {"DeepSeek",
       R"({"error":{"message":"m","type":"authentication_error","param":"p","code":"invalid_request_error"}})",
       "invalid_request_error|authentication_error|m|p||"},
      {"Ark",
       R"({"error":{"code":"ServerOverloaded","message":"m Request id: 1","param":"","type":"TooManyRequests"}})",
       "ServerOverloaded|TooManyRequests|m Request id: 1|||"},
      {"Anthropic", R"({"type":"error","error":{"type":"overloaded_error","message":"m"},"request_id":"req_1"})",
       "|overloaded_error|m|||"},
      {"Anthropic, with details",
       R"({"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"c"}}})",
       "|rate_limit_error|m|||c"},
      {"Gemini",
       R"([{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.Help"},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"37s"}]}}])",
       "429|RESOURCE_EXHAUSTED|m||37s|"},
      {"Gemini, with its quotas",
       R"({"error":{"code":429,"message":"m","details":[{"@type":"x/google.rpc.QuotaFailure","violations":[{"quotaId":"A"},{"quotaMetric":"m"},{"quotaId":"B"}]}]}})",
       "429||m|||A B"},
      {"Gemini, no array", R"({"error":{"code":503,"message":"m","status":"UNAVAILABLE"}})", "503|UNAVAILABLE|m|||"},
      {"OpenRouter",
       R"({"error":{"code":429,"message":"m","metadata":{"limit_source":"upstream","raw":"x"}},"user_id":"u"})",
       "429||m|||upstream"},
      {"OpenRouter, of a choice",
       R"({"id":"g","choices":[{"finish_reason":"error","error":{"code":502,"message":"m"}}]})", "502||m|||"},
      {"xAI", R"({"error":"Too many requests"})", "||Too many requests|||"},
      {"xAI, with a code", R"({"code":"c","error":"m"})", "c||m|||"},
      {"Zhipu", R"({"error":{"code":"1302","message":"m"}})", "1302||m|||"},
      {"DashScope, native", R"({"code":"Throttling","message":"m","request_id":"r"})", "Throttling||m|||"},
      {"Mistral", R"({"object":"error","message":"m","type":"t","param":null,"code":"3505"})", "3505|t|m|||"},
      {"SiliconFlow", R"({"code":50603,"message":"m","data":null})", "50603||m|||"},
      {"FastAPI", R"({"detail":"m"})", "||m|||"},
      {"FastAPI, with a list", R"({"detail":[{"loc":["a"],"msg":"m"}]})", "||m|||"},
      {"Cloudflare", R"({"success":false,"errors":[{"code":10000,"message":"m"}]})", "10000||m|||"},
      {"responses, flat event", R"({"type":"error","code":"server_error","message":"m","param":null})",
       "server_error|error|m|||"},
      {"responses, failed", R"({"type":"response.failed","response":{"error":{"code":"server_error","message":"m"}}})",
       "server_error||m|||"},
      {"beside choices", R"({"choices":[],"error":{"code":502,"message":"m"}})", "502||m|||"},
      {"white space around", " \n{\"error\":\"m\"} \n", "||m|||"},
      {"mark in front", "\xEF\xBB\xBF{\"error\":\"m\"}", "||m|||"},
      {"string", R"("m")", "||m|||"},
      {"null error", R"({"error":null,"message":"m"})", "||m|||"},
      {"empty object", "{}", "|||||"},
      {"empty array", "[]", "|||||"},
      {"nothing", "", "|||||"},
      {"text", "  upstream connect error \n", "||upstream connect error|||"},
      {"HTML", "<html><h1>502 Bad Gateway</h1></html>", "||<html><h1>502 Bad Gateway</h1></html>|||"},
      {"cut JSON", R"({"error":{"message":"m)", R"(||{"error":{"message":"m|||)"},
  };
  for (const ErrorCase& c : cases) {
    const UpstreamError e = read_error_body(c.body);
    EXPECT_EQ(e.code + "|" + e.type + "|" + e.message + "|" + e.param + "|" + e.retry_delay + "|" + e.limit_source,
              c.expected)
        << c.name;
  }
}

// Azure says in `innererror` which filter it was.
TEST(ErrorBody, KeepsWhatElseStandsInAnErrorObject) {
  const UpstreamError read = read_error_body(
      R"({"error": {"message": "m", "innererror": {"code": "f", "hit": true}, "type": "t", "x\"": 1.5}, "id": "r"})");
  EXPECT_EQ(read.more, R"(,"innererror":{"code":"f","hit":true},"x\"":1.5)");
  EXPECT_EQ(write_error_body({"t", "c", "m", "", read.more}, Api::chat, ""),
            R"({"error":{"message":"m","type":"t","param":null,"code":"c")" + read.more + "}}");
  EXPECT_EQ(write_error_body({"t", "c", "m", "", read.more}, Api::messages, "r"),
            R"({"type":"error","error":{"type":"t","message":"m","code":"c")" + read.more + R"(},"request_id":"r"})");
  EXPECT_EQ(read_error_body(R"({"error":{"message":"m","x":")" + std::string(5000, 'x') + "\"}}").more, "");
  EXPECT_EQ(read_error_body(R"({"message":"m","id":"r"})").more, "");
}

TEST(ErrorBody, KeepsTheFirst512BytesOfAPage) {
  EXPECT_EQ(read_error_body(std::string(2000, 'x')).message, std::string(512, 'x'));
  std::string page(511, 'x');
  page += "\xE2\x82\xAC and more";
  EXPECT_EQ(read_error_body(page).message, std::string(511, 'x')) << "not half a character";
}

TEST(ErrorBody, ReadsBackItsOwn) {
  for (const Api api : {Api::chat, Api::messages, Api::responses}) {
    const UpstreamError read = read_error_body(write_error_body({"t", "c", "m", "p"}, api, "r"));
    EXPECT_EQ(read.code + read.type + read.message, "ctm");
  }
}

TEST(JsonQuote, WritesAStringThatReadsBack) {
  EXPECT_EQ(json_quote(""), "\"\"");
  EXPECT_EQ(json_quote("a\"\\\b\f\n\r\t\x7F/é"), "\"a\\\"\\\\\\u0008\\u000c\\n\\r\\t\x7F/é\"");
  EXPECT_EQ(json_quote("\xED\xA0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

TEST(ApiNames, ReadBack) {
  for (const Api api :
       {Api::chat, Api::completions, Api::embeddings, Api::responses, Api::messages, Api::models, Api::other}) {
    EXPECT_EQ(api_from_name(name_of(api)), api);
  }
  EXPECT_EQ(api_from_name("Chat"), std::nullopt);
  EXPECT_EQ(api_from_name(""), std::nullopt);
}

}  // namespace
}  // namespace weir::protocol
