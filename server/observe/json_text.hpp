// Pieces of JSON, written as they come: text from anywhere as a string, the name of the next member.
#pragma once

#include <string>
#include <string_view>

namespace weir::observe {

constexpr bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// Nothing in it is escaped or replaced.
bool is_plain_json(std::string_view text);
// With quotes. Control characters are escaped, bytes that are not UTF-8 replaced: it stays one line of valid JSON.
void append_json_string(std::string& out, std::string_view text);
// The name of a member and its colon, with a comma before it unless it is the first. REQUIRES: `out` ends within an
// object.
void append_json_name(std::string& out, std::string_view name);

}  // namespace weir::observe
