// Walks the text of a JSON document that is known to be valid, value by value, without building anything: a string is
// found by its closing quote, what is not wanted is stepped over. On text that is not valid it stays within bounds.
#pragma once

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

#include "protocol/json_scan.hpp"

namespace weir::protocol {

class JsonCursor {
 public:
  explicit JsonCursor(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  // The first byte of the next value or sign; '\0' at the end.
  char peek() {
    while (at_ < end_ && json::is_space(*at_)) ++at_;
    return at_ < end_ ? *at_ : '\0';
  }

  // The raw inside of the string that stands next.
  std::string_view string() {
    if (peek() != '"') return {};
    const char* const begin = ++at_;
    while (at_ < end_) {
      const auto* quote = static_cast<const char*>(std::memchr(at_, '"', static_cast<std::size_t>(end_ - at_)));
      if (quote == nullptr) break;
      std::size_t backslashes = 0;
      for (const char* back = quote; back > begin && back[-1] == '\\'; --back) ++backslashes;
      at_ = quote + 1;
      if (backslashes % 2 == 0) return {begin, static_cast<std::size_t>(quote - begin)};
    }
    at_ = end_;
    return {begin, static_cast<std::size_t>(end_ - begin)};
  }

  // The text of the value that stands next, whatever it is.
  std::string_view value() {
    const char first = peek();
    const char* const begin = at_;
    if (first == '"') {
      string();
    } else if (first == '{' || first == '[') {
      skip_nested();
    } else {
      while (at_ < end_ && std::strchr(",]}", *at_) == nullptr) ++at_;
      if (at_ == begin && at_ < end_) ++at_;
    }
    return {begin, static_cast<std::size_t>(at_ - begin)};
  }

  // Calls each(key), unescaped, for the members of the object that stands next. `each` must step over the value.
  template <typename Each>
  void members(Each each) {
    if (peek() != '{') return static_cast<void>(value());
    ++at_;
    while (peek() == '"') {
      const std::string_view raw = string();
      if (peek() == ':') ++at_;
      const char* const before = at_;
      if (raw.find('\\') == std::string_view::npos)
        each(raw);
      else
        each(std::string_view(json::unescape(raw)));
      if (at_ == before) value();
      if (peek() == ',') ++at_;
    }
    if (peek() == '}') ++at_;
  }

  // Calls each() for the elements of the array that stands next. `each` must step over the element.
  template <typename Each>
  void elements(Each each) {
    if (peek() != '[') return static_cast<void>(value());
    ++at_;
    while (peek() != ']' && at_ < end_) {
      const char* const before = at_;
      each();
      if (at_ == before) value();
      if (peek() == ',') ++at_;
    }
    if (at_ < end_) ++at_;
  }

 private:
  void skip_nested() {
    std::size_t depth = 0;
    while (at_ < end_) {
      const char c = *at_;
      if (c == '"') {
        string();
        continue;
      }
      ++at_;
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && --depth == 0) return;
    }
  }

  const char* at_;
  const char* end_;
};

}  // namespace weir::protocol
