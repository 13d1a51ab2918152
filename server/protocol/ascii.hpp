// Letters and digits of ASCII, whatever the locale.
#pragma once

namespace weir::protocol {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace weir::protocol
