#include "protocol/text_profile.hpp"

#include <algorithm>

namespace weir::protocol {
namespace {

constexpr unsigned last_position = TextProfile::run_positions - 1;
constexpr unsigned wrapped_position = 13;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

unsigned byte(const char* at) {
  return static_cast<unsigned char>(*at);
}

class Reader {
 public:
  Reader(TextProfile& into, std::string_view text) : into_(into), at_(text.data()), end_(text.data() + text.size()) {}

  template <bool escaped>
  void run() {
    unsigned previous = class_newline;
    unsigned kind = kind_newline;
    unsigned position = 0;
    const auto count = [&](unsigned c, unsigned k) {
      const unsigned next = position == last_position ? wrapped_position : position + 1;
      position = k == kind ? next : 0;
      kind = k;
      ++into_.pairs[c * char_class_count + previous];
      ++into_.runs[k * TextProfile::run_positions + position];
      previous = c;
    };
    const char* at = at_;
    const char* const end = end_;
    while (at < end) {
      unsigned c = ascii_classes[static_cast<unsigned char>(*at)];
      if (c != class_special) {
        ++at;
      } else if (escaped && *at == '\\' && end - at >= 2 && at[1] != 'u') {
        c = escape_class(at[1]);
        at += 2;
      } else if ((*at & '\xF0') == '\xE0' && end - at >= 3) {  // the two lengths of nearly all scripts
        c = basic_plane_classes[((byte(at) & 0xFU) << 12) | ((byte(at + 1) & 0x3FU) << 6) | (byte(at + 2) & 0x3FU)];
        at += 3;
      } else if ((*at & '\xE0') == '\xC0' && end - at >= 2) {
        c = basic_plane_classes[((byte(at) & 0x1FU) << 6) | (byte(at + 1) & 0x3FU)];
        at += 2;
      } else {
        at_ = at;
        c = class_of(next_code_point(escaped));
        at = at_;
      }
      count(c, kind_of_class[c]);
    }
    at_ = at;
  }

 private:
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

  char32_t next_code_point(bool escaped) {
    const char first = *at_;
    if (first == '\\') {
      ++at_;
      return escaped ? escape() : U'\\';
    }
    return utf8();
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
      const int digit = hex_digit(*at_);
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

  TextProfile& into_;
  const char* at_;
  const char* end_;
};

}  // namespace

void TextProfile::read_json(std::string_view inside) {
  Reader(*this, inside).run<true>();
}
void TextProfile::read_plain(std::string_view utf8) {
  Reader(*this, utf8).run<false>();
}

}  // namespace weir::protocol
