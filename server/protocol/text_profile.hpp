// Counts the pairs and runs of character classes of a text: all that an estimate of its tokens is made from. Reads the
// inside of JSON strings straight from the raw body, escapes decoded on the way, or plain text. Pure; 17 KiB, meant for
// the stack.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/char_classes.hpp"

namespace weir::protocol {

struct TextProfile {
  static constexpr std::size_t run_positions = 16;

  // By class and the class before it: pairs[c * 64 + previous].
  std::array<std::uint32_t, char_class_count * char_class_count> pairs{};
  // By kind and the place in a run of that kind. Places above 15 count as 13, 14, 15, 13, ...: digits go in threes.
  std::array<std::uint32_t, char_kind_count * run_positions> runs{};

  // The raw inside of a string of a valid JSON document, or a stretch of it: one that ends within an escape or a
  // character is no fault. What stands in a row is one text only if it is read at once.
  void read_json(std::string_view inside);
  void read_plain(std::string_view utf8);

  // Whether there is any character of this kind. The first of a run may count as the second: a text begins as if behind
  // a line feed.
  bool has(std::size_t kind) const { return runs[kind * run_positions] + runs[kind * run_positions + 1] > 0; }
};

}  // namespace weir::protocol
