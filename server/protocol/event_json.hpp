// simdjson for events and answers: one parser and one padded copy per thread, because a stream that waits must not own
// 14 KB of parser. Used between two statements of one function, never across calls.
#pragma once

#include <simdjson.h>

#include <string_view>

#include "protocol/usage.hpp"

namespace weir::protocol {

// Copies `text` into this thread's padded buffer and starts an On-Demand document on it; false: surely not JSON.
// The document is valid until the next call on this thread. On-Demand checks what is asked for, not the rest.
bool parse_copy(std::string_view text, simdjson::ondemand::document& document);

// Gives the memory of a large copy back. Call it when done with a document that may have been large.
void release_large_copy();

// Where the copy lies, to turn pointers into offsets.
std::string_view parsed_copy();

// The value's first byte, without reading the value: `{ [ " t f n - 0..9`.
inline char first_byte(simdjson::ondemand::value value) {
  return *value.raw_json_token().data();
}

// Does a value carry something? Empty strings, arrays and objects, null and false do not.
inline bool carries(simdjson::ondemand::value value) {
  const std::string_view token = value.raw_json_token();  // reaches up to the next token, which stands at its end
  switch (*token.data()) {
    case '"':
      return token.size() > 1 && token[1] != '"';
    case '[':
      return *(token.data() + token.size()) != ']';
    case '{':
      return *(token.data() + token.size()) != '}';
    case 'n':
    case 'f':
      return false;
    default:
      return true;
  }
}

// Is the value this string? Escapes are not looked at: names of types and fields are never written with them.
inline bool is_text(simdjson::ondemand::value value, std::string_view text) {
  const std::string_view token = value.raw_json_token();
  return token.size() >= text.size() + 2 && token[0] == '"' && token.substr(1, text.size()) == text &&
         token[text.size() + 1] == '"';
}

// The inside of a string value as written; empty: not a string.
inline std::string_view inside_of(simdjson::ondemand::value value) {
  std::string_view token = value.raw_json_token();
  if (!token.starts_with('"')) return {};
  while (token.size() > 1 && token.back() != '"') token.remove_suffix(1);
  return token.size() < 2 ? std::string_view() : token.substr(1, token.size() - 2);
}

// Reads all members of a usage object; false: not valid JSON. Defined in usage.cpp.
bool read_usage(simdjson::ondemand::object object, UsageReport& report);

}  // namespace weir::protocol
