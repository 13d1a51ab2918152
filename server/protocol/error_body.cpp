#include "protocol/error_body.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>

#include "protocol/json_scan.hpp"

namespace weir::protocol {
namespace {

namespace dom = simdjson::dom;

constexpr std::size_t message_bytes_max = 512;         // of a page of HTML: enough to name its sender
constexpr std::size_t more_bytes_max = 4096;           // an error may be remembered
constexpr std::size_t parsed_bytes_max = 1024 * 1024;  // no provider explains itself at greater length

std::string quote_or_null(std::string_view text) {
  return text.empty() ? "null" : json_quote(text);
}

// {"message":…,"type":…,"param":…,"code":…}
std::string openai_error(const ErrorAnswer& error) {
  return R"({"message":)" + json_quote(error.message) + R"(,"type":)" + json_quote(error.type) + R"(,"param":)" +
         quote_or_null(error.param) + R"(,"code":)" + quote_or_null(error.code) + error.more + "}";
}

// A member as text: strings as they are, numbers as digits, anything else as nothing.
std::string text_of(dom::object object, std::string_view name) {
  dom::element element;
  if (object.at_key(name).get(element) != simdjson::SUCCESS) return {};
  std::string_view text;
  if (element.get(text) == simdjson::SUCCESS) return std::string(text);
  if (element.is_number()) return simdjson::minify(element);
  return {};
}

std::string first_text_of(dom::object object, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (std::string text = text_of(object, name); !text.empty()) return text;
  }
  return {};
}

// The ids of the quotas that Google finds exceeded, "GenerateRequestsPerMinutePerProjectPerModel-FreeTier".
void read_quota_failure(dom::object detail, UpstreamError& out) {
  dom::array violations;
  if (detail["violations"].get(violations) != simdjson::SUCCESS) return;
  for (dom::element each : violations) {
    dom::object violation;
    if (each.get(violation) != simdjson::SUCCESS) continue;
    const std::string id = text_of(violation, "quotaId");
    if (!id.empty()) out.limit_source += (out.limit_source.empty() ? "" : " ") + id;
  }
}

// Google's list of details, of which one may be a RetryInfo and one a QuotaFailure; Anthropic's object.
void read_details(dom::object error, UpstreamError& out) {
  dom::object object;
  if (error["details"].get(object) == simdjson::SUCCESS) out.limit_source = text_of(object, "error_code");
  dom::array details;
  if (error["details"].get(details) != simdjson::SUCCESS) return;
  for (dom::element detail : details) {
    if (detail.get(object) != simdjson::SUCCESS) continue;
    const std::string type = text_of(object, "@type");
    if (type.ends_with("google.rpc.RetryInfo")) out.retry_delay = text_of(object, "retryDelay");
    if (type.ends_with("google.rpc.QuotaFailure")) read_quota_failure(object, out);
  }
}

// The members by which an error object, nested or flat, explains itself.
void read_error_object(dom::object error, UpstreamError& out) {
  out.code = first_text_of(error, {"code", "error_code"});
  out.type = first_text_of(error, {"type", "status"});
  out.message = first_text_of(error, {"message", "msg", "detail", "error_msg", "error_message"});
  out.param = text_of(error, "param");
  read_details(error, out);
  dom::object metadata;
  if (error["metadata"].get(metadata) == simdjson::SUCCESS) out.limit_source = text_of(metadata, "limit_source");
}

std::string members_beside_the_usual(dom::object error) {
  constexpr std::array<std::string_view, 4> usual{"message", "type", "param", "code"};
  std::string more;
  for (const auto [name, value] : error) {
    if (std::find(usual.begin(), usual.end(), name) != usual.end()) continue;
    more.append(",").append(json_quote(name)).append(":").append(simdjson::minify(value));
    if (more.size() > more_bytes_max) return {};
  }
  return more;
}

// The object inside `{"name": {…}}` or `{"name": [{…}, …]}`.
bool nested(dom::object object, std::string_view name, dom::object& inner) {
  if (object.at_key(name).get(inner) == simdjson::SUCCESS) return true;
  dom::array list;
  return object.at_key(name).get(list) == simdjson::SUCCESS && list.at(0).get(inner) == simdjson::SUCCESS;
}

bool read_json(std::string_view body, UpstreamError& out) {
  dom::parser parser;
  dom::element root;
  if (parser.parse(body.data(), body.size()).get(root) != simdjson::SUCCESS) return false;
  dom::array list;
  if (root.get(list) == simdjson::SUCCESS && list.at(0).get(root) != simdjson::SUCCESS) return true;  // Gemini's array
  std::string_view text;
  if (root.get(text) == simdjson::SUCCESS) {
    out.message = text;
    return true;
  }
  dom::object object;
  if (root.get(object) != simdjson::SUCCESS) return false;

  dom::object inner, choice;
  if (nested(object, "response", inner)) object = inner;     // a response.failed event, or a failed Response
  const bool in_choice = nested(object, "choices", choice);  // OpenRouter, once the work had begun
  if (nested(object, "error", inner) || nested(object, "errors", inner) ||
      (in_choice && nested(choice, "error", inner))) {
    read_error_object(inner, out);
    out.more = members_beside_the_usual(inner);
    return true;
  }
  read_error_object(object, out);
  // The error itself may be a string: xAI, and servers that follow no one.
  if (std::string message = text_of(object, "error"); !message.empty()) out.message = std::move(message);
  if (nested(object, "detail", inner)) out.message = first_text_of(inner, {"message", "msg"});  // FastAPI
  return true;
}

std::string first_bytes(std::string_view text) {
  text = json::trim(text);
  if (text.size() <= message_bytes_max) return std::string(text);
  std::size_t end = message_bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0u) == 0x80u) --end;  // not inside a character
  return std::string(text.substr(0, end));
}

}  // namespace

std::string write_error_body(const ErrorAnswer& error, Api api, std::string_view request_id) {
  if (api != Api::messages) return R"({"error":)" + openai_error(error) + "}";
  return R"({"type":"error","error":{"type":)" + json_quote(error.type) + R"(,"message":)" + json_quote(error.message) +
         R"(,"code":)" + quote_or_null(error.code) + error.more + R"(},"request_id":)" + quote_or_null(request_id) +
         "}";
}

std::string write_error_event(const ErrorAnswer& error, Api api, std::string_view request_id) {
  if (api == Api::messages) return "event: error\ndata: " + write_error_body(error, api, request_id) + "\n\n";
  if (api != Api::responses) return "data: " + write_error_body(error, api, request_id) + "\n\n";
  // Flat, as the Responses API has it, and the nested object beside it: the SDKs hand a flat error to the caller as one
  // event among others and raise only where they see `error`.
  return R"(event: error
data: {"type":"error","code":)" +
         quote_or_null(error.code) + R"(,"message":)" + json_quote(error.message) + R"(,"param":)" +
         quote_or_null(error.param) + R"(,"sequence_number":0,"error":)" + openai_error(error) + "}\n\n";
}

UpstreamError read_error_body(std::string_view body) {
  if (body.starts_with("\xEF\xBB\xBF")) body.remove_prefix(3);
  UpstreamError error;
  if (body.size() > parsed_bytes_max || !read_json(body, error)) {
    error = UpstreamError();
    error.message = first_bytes(body);
  }
  return error;
}

std::string json_quote(std::string_view text) {
  constexpr char hex[] = "0123456789abcdef";
  std::string out = "\"";
  out.reserve(text.size() + 2);
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    const std::size_t length = json::utf8_length(text, at);
    if (length != 1) {
      out += length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(at, length);
      at += length == 0 ? 1 : length;
      continue;
    }
    ++at;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out += hex[c >> 4];
          out += hex[c & 15];
        } else {
          out += c;
        }
    }
  }
  return out += '"';
}

}  // namespace weir::protocol
