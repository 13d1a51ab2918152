// Error bodies: writes weir's own in the caller's shape, and reads an upstream's in every dialect seen so far
// (providers.md §10.6: object with object error, object with string error, flat object, array, empty, HTML).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/api.hpp"

namespace weir::protocol {

// An error as weir answers it.
struct ErrorAnswer {
  std::string_view type;  // "invalid_request_error", "rate_limit_error", "api_error", ...
  std::string_view code;  // stable, e.g. "invalid_json"
  std::string message;    // tells the reader what to do
  std::string param;      // the field at fault; empty: null
  std::string more{};     // further members, each with a comma before it
};

// {"error":{"message":…,"type":…,"param":…,"code":…}}, or for Api::messages
// {"type":"error","error":{"type":…,"message":…,"code":…},"request_id":…}. `{"error":` are the first bytes of the
// former.
std::string write_error_body(const ErrorAnswer& error, Api api, std::string_view request_id);

// The same as one event that ends a stream: `data: {"error":…}\n\n` for chat and completions (no event line),
// `event: error\ndata: …\n\n` for messages and responses (responses: the flat shape the SDKs expect, see providers.md
// §1.5).
std::string write_error_event(const ErrorAnswer& error, Api api, std::string_view request_id);

// An upstream's error, reduced. Strings are empty when the body has none.
struct UpstreamError {
  std::string code;     // numbers as digits
  std::string type;     // also Google's `status`
  std::string message;  // HTML or text: its first 512 bytes
  std::string param;
  std::string retry_delay;  // google.rpc.RetryInfo retryDelay, e.g. "37s"
  // OpenRouter's error.metadata.limit_source; Anthropic's details.error_code; Google's quotaIds, with a space between
  std::string limit_source;
  // What else stands in an error object, as ErrorAnswer has it: Azure's innererror, OpenRouter's metadata. Not of a
  // flat one, whose other members are those of the answer.
  std::string more;
};
UpstreamError read_error_body(std::string_view body);

// A string as a JSON string literal, quotes included. Invalid UTF-8 becomes U+FFFD.
std::string json_quote(std::string_view text);

}  // namespace weir::protocol
