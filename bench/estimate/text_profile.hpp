// Counts the pairs and runs of character classes of a text: what weights are fitted to. Plain and slow;
// server/protocol/token_sum.cpp adds up the weights without counting first, and is held against this.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/char_reader.hpp"
#include "protocol/token_weights.hpp"

namespace weir::protocol {

struct TextProfile {
  // By class and the class before it: pairs[c * 64 + previous].
  std::array<std::uint32_t, char_class_count * char_class_count> pairs{};
  // By kind and the place in a run of that kind.
  std::array<std::uint32_t, char_kind_count * run_positions> runs{};
};

// `escaped`: the text is the inside of a JSON string.
template <bool escaped = false>
TextProfile profile_of(std::string_view text) {
  TextProfile profile;
  std::size_t previous = class_newline, kind = kind_newline, place = 0;  // a text begins as if behind a line feed
  for (CharReader<escaped> reader(text); !reader.done();) {
    const std::size_t c = reader.next();
    place = kind_of_class[c] == kind ? place + 1 : 0;
    kind = kind_of_class[c];
    ++profile.pairs[c * char_class_count + previous];
    ++profile.runs[kind * run_positions + run_position(place)];
    previous = c;
  }
  return profile;
}

}  // namespace weir::protocol
