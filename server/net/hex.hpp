// Hexadecimal digits, and the percent escapes made of them. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weir::net {

// Of a digit in either case; -1: it is none.
constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Two digits a byte, in lower case.
std::string to_hex(std::span<const std::uint8_t> bytes);

// Percent escapes undone; what is none stays.
std::string percent_decoded(std::string_view text);

}  // namespace weir::net
