// Appending to a string without streams or formatting: the answers are put together with this.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

namespace weir::simulator {

inline void put_one(std::string& out, std::string_view text) {
  out += text;
}
template <std::integral Number>
void put_one(std::string& out, Number number) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

// put(out, "a", 1, "b") appends a1b.
template <class... Pieces>
void put(std::string& out, const Pieces&... pieces) {
  (put_one(out, pieces), ...);
}

template <class... Pieces>
std::string join(const Pieces&... pieces) {
  std::string out;
  put(out, pieces...);
  return out;
}

}  // namespace weir::simulator
