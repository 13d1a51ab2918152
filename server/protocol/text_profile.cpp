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
    while (at_ < end_) {
      const unsigned c = ascii_classes[static_cast<unsigned char>(*at_)];
      if (c != class_special) {
        ++at_;
        count(c, kind_of_class[c]);
        continue;
      }
      const unsigned decoded = class_of(next_code_point(escaped));
      count(decoded, kind_of_class[decoded]);
    }
  }

 private:
  char32_t next_code_point(bool escaped) {
    const char first = *at_;
    if (first == '\\') {
      ++at_;
      return escaped ? escape() : U'\\';
    }
    return utf8();
  }

  // Behind the backslash.
  char32_t escape() {
    if (at_ == end_) return U'\\';
    switch (*at_++) {
      case 'n':
      case 'r':
        return U'\n';
      case 't':
      case 'b':
      case 'f':
        return U'\t';
      case 'u':
        break;
      default:
        return static_cast<unsigned char>(at_[-1]);
    }
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
    const auto byte = [&](std::ptrdiff_t i) { return static_cast<unsigned char>(at_[i]); };
    const unsigned first = byte(0);
    const std::ptrdiff_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1;
    if (length == 1 || end_ - at_ < length) {
      ++at_;
      return 0xFFFD;
    }
    char32_t value = first & (0xFFU >> (length + 1));
    for (std::ptrdiff_t i = 1; i < length; ++i) value = (value << 6) | (byte(i) & 0x3FU);
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
