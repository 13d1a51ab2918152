// The classes of a text's characters, one after the other: UTF-8, and in the inside of a JSON string its escapes. Cut
// or wrong sequences give characters that are none, and the reading goes on.
#pragma once

#include <cstddef>
#include <string_view>

#include "protocol/char_classes.hpp"
#include "protocol/json_scan.hpp"

namespace weir::protocol {

template <bool escaped>
class CharReader {
 public:
  explicit CharReader(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool done() const { return at_ == end_; }
  // What is left, to be read otherwise; skip() says how much of it was.
  std::string_view rest() const { return {at_, static_cast<std::size_t>(end_ - at_)}; }
  void skip(std::size_t bytes) { at_ += bytes; }
  // REQUIRES: !done().
  bool at_plain_ascii() const { return ascii_classes[byte(at_)] != class_special; }
  // So many bytes that need no second look, or nothing else to the end.
  bool before_plain_ascii(std::ptrdiff_t count) const {
    const char* const until = end_ - at_ < count ? end_ : at_ + count;
    for (const char* at = at_; at < until; ++at) {
      if (ascii_classes[byte(at)] == class_special) return false;
    }
    return true;
  }

  // CharClass of the next character. REQUIRES: !done().
  unsigned next() {
    const unsigned c = ascii_classes[byte(at_)];
    if (c != class_special) return ++at_, c;
    if (escaped && *at_ == '\\' && end_ - at_ >= 2 && at_[1] != 'u') {
      at_ += 2;
      return escape_class(at_[-1]);
    }
    if ((*at_ & '\xF0') == '\xE0' && end_ - at_ >= 3) {  // the two lengths of nearly all scripts
      at_ += 3;
      return basic_plane_classes[((byte(at_ - 3) & 0xFU) << 12) | ((byte(at_ - 2) & 0x3FU) << 6) |
                                 (byte(at_ - 1) & 0x3FU)];
    }
    if ((*at_ & '\xE0') == '\xC0' && end_ - at_ >= 2) {
      at_ += 2;
      return basic_plane_classes[((byte(at_ - 2) & 0x1FU) << 6) | (byte(at_ - 1) & 0x3FU)];
    }
    return class_of(next_code_point());
  }

 private:
  static unsigned byte(const char* at) { return static_cast<unsigned char>(*at); }

  // Of the letter behind a backslash, but for `u`.
  static unsigned escape_class(char letter) {
    switch (letter) {
      case 'n':
      case 'r':
        return class_newline;
      case 't':
      case 'b':
      case 'f':
        return class_control;
      case '\\':
        return class_backslash;
      default:
        return ascii_classes[static_cast<unsigned char>(letter) & 0x7FU];
    }
  }

  char32_t next_code_point() {
    if (*at_ != '\\') return utf8();
    ++at_;
    return escaped ? escape() : U'\\';
  }

  // Behind the backslash: `u` and its digits, or nothing any more.
  char32_t escape() {
    if (at_ == end_ || *at_ != 'u') return U'\\';
    ++at_;
    const char32_t unit = four_digits();
    const bool high = unit >= 0xD800 && unit < 0xDC00;
    if (high && end_ - at_ >= 6 && at_[0] == '\\' && at_[1] == 'u') {
      const char* const before = at_;
      at_ += 2;
      const char32_t low = four_digits();
      if (low >= 0xDC00 && low < 0xE000) return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
      at_ = before;
    }
    return unit;
  }

  char32_t four_digits() {
    char32_t value = 0;
    for (int i = 0; i < 4 && at_ < end_; ++i, ++at_) {
      const int digit = json::hex_value(*at_);
      if (digit < 0) break;
      value = value * 16 + static_cast<char32_t>(digit);
    }
    return value;
  }

  // A cut or wrong sequence gives a character that is none; at least one byte is used.
  char32_t utf8() {
    const unsigned first = byte(at_);
    const std::ptrdiff_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1;
    if (length == 1 || end_ - at_ < length) {
      ++at_;
      return 0xFFFD;
    }
    char32_t value = first & (0xFFU >> (length + 1));
    for (std::ptrdiff_t i = 1; i < length; ++i) value = (value << 6) | (byte(at_ + i) & 0x3FU);
    at_ += length;
    return value;
  }

  const char* at_;
  const char* end_;
};

}  // namespace weir::protocol
