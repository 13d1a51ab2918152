// Every refusal of weir's own: status, code, type, what the SDKs are told, in both shapes.
#include "proxy/error_response.hpp"

#include <gtest/gtest.h>

#include <tuple>

#include "net/reason_phrase.hpp"

namespace weir::proxy {
namespace {

using namespace std::chrono_literals;
using protocol::Api;
using Kind = net::Failure::Kind;

Refusal failed(Kind kind) {
  net::Failure failure;
  failure.kind = kind;
  failure.detail = "because";
  return upstream_failed(failure, "up");
}

struct ErrorRow {
  const char* name;
  Refusal refusal;
  int status;
  const char* code;
  const char* type;
  const char* anthropic_type;
  bool close = false;
  const char* should_retry = "";  // x-should-retry
  const char* retry_after = "";
};

std::vector<ErrorRow> rows() {
  using HeadKind = net::HeadError::Kind;
  using BodyKind = protocol::BodyError::Kind;
  const char* bad = "invalid_request_error";
  return {
      {"malformed head", refuse_head({HeadKind::malformed, "x"}), 400, "invalid_parameter", bad, bad, true},
      {"large head", refuse_head({HeadKind::too_large, "x"}), 431, "weir_headers_too_large", bad, bad, true},
      {"many fields", refuse_head({HeadKind::too_many_fields, "x"}), 431, "weir_headers_too_large", bad, bad, true},
      {"bad json", refuse_body({BodyKind::invalid_json, "", 7, "x"}), 400, "invalid_json", bad, bad},
      {"bad parameter", refuse_body({BodyKind::invalid_parameter, "stream", 7, "x"}), 400, "invalid_parameter", bad,
       bad},
      {"duplicate key", refuse_body({BodyKind::duplicate_key, "model", 7, "x"}), 400, "duplicate_key", bad, bad},
      {"bad chunks", refuse_chunks(), 400, "invalid_parameter", bad, bad, true},
      {"large body", refuse_large_body(5, "limits.body_bytes_max"), 413, "weir_body_too_large", bad,
       "request_too_large", true, "false"},
      {"slow", refuse_slow("body", 5s), 408, "weir_request_timeout", bad, bad, true},
      {"expectation", refuse_expectation("x"), 417, "invalid_parameter", bad, bad},
      {"websocket", refuse_websocket(), 426, "weir_websocket_unsupported", bad, bad, true, "false"},
      {"media", refuse_media("text/plain"), 415, "weir_unsupported_media", bad, bad, false, "false"},
      {"encoding", refuse_encoding("gzip"), 415, "weir_unsupported_media", bad, bad, false, "false"},
      {"key alone", refuse_key(KeyFault::without_bearer), 401, "invalid_api_key", bad, "authentication_error", false,
       "false"},
      {"host", refuse_host("evil"), 403, "origin_not_allowed", bad, "permission_error", false, "false"},
      {"origin", refuse_origin("http://evil"), 403, "origin_not_allowed", bad, "permission_error", false, "false"},
      {"no key", refuse_key(KeyFault::missing), 401, "invalid_api_key", bad, "authentication_error", false, "false"},
      {"nobody", refuse_key(KeyFault::anonymous), 401, "invalid_api_key", bad, "authentication_error", false, "false"},
      {"wrong key", refuse_key(KeyFault::unknown), 401, "invalid_api_key", bad, "authentication_error", false, "false"},
      {"model", refuse_model("m"), 403, "model_not_allowed", bad, "permission_error", false, "false"},
      {"unknown model", unknown_model("m"), 404, "model_not_found", bad, "not_found_error", false, "false"},
      {"no model", missing_model(), 400, "invalid_parameter", bad, bad, false, "false"},
      {"method", unknown_method("TRACE", "GET, POST"), 405, "weir_unknown_method", bad, bad, false, "false"},
      {"route", unknown_route("GET", "/x", "the API is under /v1"), 404, "weir_unknown_route", bad, "not_found_error",
       false, "false"},
      {"api", api_not_served("/x", "up"), 404, "weir_api_not_served", bad, "not_found_error", false, "false"},
      {"api of none", path_not_served("/x"), 404, "weir_api_not_served", bad, "not_found_error", false, "false"},
      {"upstream name", unknown_upstream("x", {"a", "b"}), 400, "invalid_parameter", bad, bad, false, "false"},
      {"choose", choose_an_upstream({"a", "b"}), 400, "invalid_parameter", bad, bad, false, "false"},
      {"parameter", unsupported_parameter("p", "m"), 400, "unsupported_parameter", bad, bad, false, "false"},
      {"text only", text_only("m"), 400, "unsupported_parameter", bad, bad, false, "false"},
      {"loop", refuse_loop(), 508, "weir_loop", "api_error", "api_error", false, "false"},
      {"shutdown", shutting_down(), 503, "weir_shutting_down", "api_error", "api_error", true, "", "1"},
      {"no upstream", no_upstream("x"), 503, "weir_no_upstream", "api_error", "api_error"},
      {"resolve", failed(Kind::resolve), 502, "weir_upstream_connect", "api_error", "api_error"},
      {"connect", failed(Kind::connect), 502, "weir_upstream_connect", "api_error", "api_error"},
      {"proxy", failed(Kind::proxy), 502, "weir_upstream_connect", "api_error", "api_error"},
      {"connect timeout", failed(Kind::connect_timeout), 504, "weir_upstream_connect", "api_error", "timeout_error"},
      {"tls", failed(Kind::tls), 502, "weir_upstream_tls", "api_error", "api_error"},
      {"tls timeout", failed(Kind::tls_timeout), 504, "weir_upstream_tls", "api_error", "timeout_error"},
      {"reset", failed(Kind::reset), 502, "weir_upstream_reset", "api_error", "api_error"},
      {"closed", failed(Kind::closed), 502, "weir_upstream_reset", "api_error", "api_error"},
      {"truncated", failed(Kind::truncated), 502, "weir_upstream_truncated", "api_error", "api_error"},
      {"invalid", failed(Kind::invalid), 502, "weir_upstream_invalid", "api_error", "api_error"},
      {"cancelled", failed(Kind::cancelled), 503, "weir_shutting_down", "api_error", "api_error", true, "", "1"},
      {"first byte", upstream_too_slow(TimeLimit::first_byte, 5s, "up"), 504, "weir_first_byte_timeout", "api_error",
       "timeout_error"},
      {"first content", upstream_too_slow(TimeLimit::first_content, 5s, "up"), 504, "weir_first_content_timeout",
       "api_error", "timeout_error"},
      {"stall", upstream_too_slow(TimeLimit::stall, 5s, "up"), 504, "weir_stall_timeout", "api_error", "timeout_error"},
      {"total", upstream_too_slow(TimeLimit::total, 5s, "up"), 504, "weir_total_timeout", "api_error", "timeout_error"},
  };
}

std::string value_of(const Refusal& refusal, std::string_view name) {
  for (const auto& [key, value] : refusal.headers) {
    if (key == name) return value;
  }
  return "";
}

TEST(ErrorResponse, EveryRefusalHasItsStatusCodeAndHints) {
  for (const ErrorRow& row : rows()) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(row.refusal.status, row.status);
    EXPECT_EQ(row.refusal.code, row.code);
    EXPECT_EQ(error_answer(row.refusal, Api::chat).type, row.type);
    EXPECT_EQ(error_answer(row.refusal, Api::messages).type, row.anthropic_type);
    EXPECT_EQ(row.refusal.close, row.close);
    EXPECT_EQ(value_of(row.refusal, "x-should-retry"), row.should_retry);
    EXPECT_EQ(value_of(row.refusal, "retry-after"), row.retry_after);
    EXPECT_EQ(value_of(row.refusal, "retry-after-ms").empty(), value_of(row.refusal, "retry-after").empty());
    EXPECT_FALSE(row.refusal.message.empty());
    EXPECT_NE(net::reason_phrase(row.status), "Status");
  }
}

TEST(ErrorResponse, SaysWhenToComeBackInBothUnits) {
  using Waits = std::tuple<std::chrono::milliseconds, const char*, const char*>;
  for (const auto& [wait, ms, s] : {Waits(0ms, "1", "1"), Waits(350ms, "350", "1"), Waits(1001ms, "1001", "2")}) {
    Refusal refusal = no_upstream("x");
    say_when(refusal, wait);
    EXPECT_EQ(value_of(refusal, "retry-after-ms"), ms);
    EXPECT_EQ(value_of(refusal, "retry-after"), s);
  }
}

// Words that make LangChain's client give up on a 429 for good, and so have no place in any message.
TEST(ErrorResponse, NoMessageSpeaksOfQuotasOrBilling) {
  for (const ErrorRow& row : rows()) {
    for (const char* word : {"quota", "billing", "credit", "will reset at"}) {
      EXPECT_EQ(row.refusal.message.find(word), std::string::npos) << row.name << ": " << row.refusal.message;
    }
  }
}

TEST(ErrorResponse, BadBodiesNameTheFieldAndTheByte) {
  const Refusal refusal =
      refuse_body({protocol::BodyError::Kind::invalid_parameter, "messages[2].role", 71, "expected a string"});
  EXPECT_EQ(refusal.message, "'messages[2].role': expected a string (byte 71 of the body).");
  EXPECT_EQ(refusal.param, "messages[2].role");
}

TEST(ErrorResponse, IsWrittenInOpenAisShape) {
  EXPECT_EQ(
      write_refusal(unsupported_parameter("p", "m"), Api::chat, "req-1", true, false, "x-extra: 1\r\n"),
      "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 158\r\nx-request-id: req-1\r\n"
      "x-weir-error: unsupported_parameter\r\nx-should-retry: false\r\nx-extra: 1\r\n\r\n"
      R"({"error":{"message":"The model 'm' does not take the parameter 'p'; leave it out.","type":"invalid_request_error",)"
      R"("param":"p","code":"unsupported_parameter"}})");
}

TEST(ErrorResponse, AnUpstreamsCodeMakesNoHeaderLines) {
  protocol::UpstreamError error;
  for (const std::string& code :
       {std::string("a\r\nset-cookie: b=c"), std::string("a\r\n\r\nHTTP/1.1 200 OK"), std::string("a\nb"),
        std::string("a b"), std::string("a\0b", 3), std::string("\xc3\xa9"), std::string(65, 'a')}) {
    error.code = code;
    const std::string text = write_refusal(upstream_error(502, error), Api::chat, "req-1", true, false, "");
    const std::string head = text.substr(0, text.find("\r\n\r\n"));
    EXPECT_TRUE(head.ends_with("\r\nx-weir-error: upstream_error")) << head;
    EXPECT_NE(text.find(R"("code":)" + protocol::json_quote(code)), std::string::npos) << text;
  }
  error.code = "Rate-Limit.of_2";
  EXPECT_EQ(code_in_header(upstream_error(429, error)), error.code);
  EXPECT_EQ(upstream_error(429, error).status, 429);
  EXPECT_EQ(upstream_error(200, error).status, 502) << "a 200 would be taken for an answer";
}

// Only what it does not say itself is said for it.
TEST(ErrorResponse, AnUpstreamsErrorKeepsItsOwnWords) {
  protocol::UpstreamError error;
  error.type = "overloaded_error";
  error.param = "temperature";
  error.more = R"(,"innererror":{})";
  const Refusal refusal = upstream_error(400, error);
  const auto answer = error_answer(refusal, Api::messages);
  EXPECT_EQ(answer.type, "overloaded_error");
  EXPECT_EQ(answer.param, "temperature");
  EXPECT_EQ(answer.more, error.more);
}

TEST(ErrorResponse, AnUpstreamsErrorWithoutATypeIsNamedByItsStatus) {
  struct Case {
    int status;
    const char *type, *anthropic_type;
  };
  for (const char* told : {"", "error"}) {
    protocol::UpstreamError error;
    error.type = told;
    for (const Case& c :
         {Case{400, "invalid_request_error", "invalid_request_error"},
          Case{402, "invalid_request_error", "billing_error"}, Case{429, "rate_limit_error", "rate_limit_error"},
          Case{500, "api_error", "api_error"}, Case{529, "api_error", "overloaded_error"}}) {
      EXPECT_EQ(error_answer(upstream_error(c.status, error), Api::chat).type, c.type) << c.status;
      EXPECT_EQ(error_answer(upstream_error(c.status, error), Api::messages).type, c.anthropic_type) << c.status;
    }
  }
}

TEST(ErrorResponse, IsWrittenInAnthropicsShape) {
  const std::string text = write_refusal(unknown_model("m"), Api::messages, "req-1", true, false, "");
  EXPECT_TRUE(text.ends_with(
      "\r\n\r\n"
      R"({"type":"error","error":{"type":"not_found_error","message":"No upstream serves the model 'm'; )"
      R"(GET /v1/models lists the models there are.","code":"model_not_found"},"request_id":"req-1"})"))
      << text;
}

TEST(ErrorResponse, SaysWhetherTheConnectionGoesOn) {
  const auto has_close = [](const std::string& text) {
    return text.find("\r\nconnection: close\r\n") != std::string::npos;
  };
  EXPECT_FALSE(has_close(write_refusal(missing_model(), Api::chat, "r", true, false, "")));
  EXPECT_TRUE(has_close(write_refusal(missing_model(), Api::chat, "r", false, false, "")));
  EXPECT_TRUE(has_close(write_refusal(refuse_chunks(), Api::chat, "r", true, false, "")));
}

TEST(ErrorResponse, ToHeadHasNoBody) {
  const std::string text =
      write_refusal(unknown_route("HEAD", "/x", "the API is under /v1"), Api::other, "r", true, true, "");
  EXPECT_TRUE(text.ends_with("\r\n\r\n"));
  EXPECT_EQ(text.find("{"), std::string::npos);
}

TEST(ErrorResponse, QuotesWhatCameFromOutsideWithCare) {
  const Refusal refusal = unknown_model("a\r\nx-evil: 1\x01\"" + std::string(1000, 'b'));
  const std::string text = write_refusal(refusal, Api::chat, "r", true, false, "");
  EXPECT_EQ(text.find("\r\nx-evil"), std::string::npos);
  EXPECT_LT(text.size(), 1000u);
  EXPECT_NE(text.find("a??x-evil: 1?\\\""), std::string::npos) << text;
}

}  // namespace
}  // namespace weir::proxy
