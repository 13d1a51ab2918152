// Of error_response.hpp: a refusal as the bytes of an answer.
#include <algorithm>

#include "net/reason_phrase.hpp"
#include "protocol/error_body.hpp"
#include "proxy/error_response.hpp"

namespace weir::proxy {

namespace {

std::string_view type_in_shape(const Refusal& refusal, protocol::Api api) {
  if (api != protocol::Api::messages || refusal.type_is_told) return refusal.type;
  switch (refusal.status) {
    case 401:
      return "authentication_error";
    case 402:
      return "billing_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 504:
      return "timeout_error";
    case 529:
      return "overloaded_error";
    default:
      return refusal.status < 500 ? "invalid_request_error" : "api_error";
  }
}

}  // namespace

protocol::ErrorAnswer error_answer(const Refusal& refusal, protocol::Api api) {
  protocol::ErrorAnswer answer;
  answer.type = type_in_shape(refusal, api);
  answer.code = refusal.code;
  answer.message = refusal.message;
  answer.param = refusal.param;
  answer.more = refusal.more;
  return answer;
}

std::string_view code_in_header(const Refusal& refusal) {
  constexpr std::size_t size_max = 64;
  const std::string& code = refusal.code;
  const bool plain = std::all_of(code.begin(), code.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
  return plain && !code.empty() && code.size() <= size_max ? std::string_view(code) : unnamed_error;
}

std::string write_refusal(const Refusal& refusal, protocol::Api api, std::string_view request_id, bool keep_alive,
                          bool head_request, std::string_view extra_headers) {
  const std::string body = protocol::write_error_body(error_answer(refusal, api), api, request_id);
  std::string out = "HTTP/1.1 " + std::to_string(refusal.status) + " ";
  out += net::reason_phrase(refusal.status);
  out += "\r\ncontent-type: application/json\r\ncontent-length: " + std::to_string(body.size()) + "\r\nx-request-id: ";
  out += request_id;
  out += "\r\nx-weir-error: ";
  out += code_in_header(refusal);
  out += "\r\n";
  if (refusal.status == 426) {
    // RFC 9110 §15.5.22 wants to hear what to upgrade to; what weir means is plain HTTP.
    out += "upgrade: HTTP/1.1\r\nconnection: upgrade, close\r\n";
  } else if (!keep_alive || refusal.close) {
    out += "connection: close\r\n";
  }
  for (const auto& [name, value] : refusal.headers) out.append(name).append(": ").append(value).append("\r\n");
  out += extra_headers;
  out += "\r\n";
  if (!head_request) out += body;
  return out;
}

}  // namespace weir::proxy
