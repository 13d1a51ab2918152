// The slow side of reading JSON: exactly the language of RFC 8259, one byte at a time, with a position and a reason for
// every fault. simdjson reads bodies; this scanner runs when simdjson refused one, to say where and why, and supplies
// the checks of single tokens that simdjson's On-Demand leaves to its caller. Differs from simdjson's own strictness in
// two points, both as the RFC has it: a lone surrogate escape and a number of any size are legal.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace weir::protocol::json {

struct Fault {
  std::size_t offset = 0;
  const char* reason = "";  // one sentence for the caller; never quotes the body
  std::string member;       // the top-level member in which nesting went too deep; empty for faults in the syntax
};

// The first fault of a document whose top level must be an object; nullopt: none.
std::optional<Fault> find_fault(std::string_view document, std::size_t depth_max);

// Does the text of an object or array break off before its end? What else may be wrong with it is not asked.
bool is_cut(std::string_view document);

// The four of the RFC, no others.
inline bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}
std::string_view trim(std::string_view text);

// Of a hexadecimal digit in either case; -1: it is none.
constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Length of the well-formed UTF-8 sequence at `at` (no surrogates, no overlong forms, none above U+10FFFF); 0: none.
std::size_t utf8_length(std::string_view text, std::size_t at);

// Is `token`, all of it, a number or one of true, false, null?
bool is_scalar(std::string_view token);

// Where the first escape that is none begins in the inside of a string (without its quotes); npos: all are good.
std::size_t find_bad_escape(std::string_view inside);

// The text of the inside of a string whose escapes are good. A lone surrogate becomes the three bytes that UTF-8's rule
// would give it, so that different strings stay different.
std::string unescape(std::string_view inside);

// A cursor over the members of a valid object's text, e.g. of `{"a": 1, "b": [2]}`. Offsets count from its first byte.
class Members {
 public:
  explicit Members(std::string_view object);         // REQUIRES: valid JSON, an object, no white space around it
  bool next();                                       // false: no more members
  std::string_view key() const { return key_; }      // with its quotes
  std::string_view value() const { return value_; }  // trimmed

 private:
  std::string_view object_;
  std::size_t position_ = 1;
  std::string_view key_;
  std::string_view value_;
};

}  // namespace weir::protocol::json
