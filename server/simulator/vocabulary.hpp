// What the simulated model says: always the same words, so that a test knows the answer, with some that are not ASCII,
// so that a relay that cuts characters shows. One piece is one token. And the rule by which prompts are counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::simulator {

// The n-th token of an answer: "one", " two", " three", … " é", … " 中", … " 🙂", and around again. Needs no JSON
// escapes.
std::string_view word(std::uint64_t n);
// The first `count` tokens together.
std::string words(std::uint64_t count);

// Text as tokens: each word with the space before it, words above 12 bytes in pieces, never inside a character.
std::vector<std::string> pieces_of(std::string_view text);

// Tokens of a text: one per four bytes of UTF-8, rounded up.
inline std::uint64_t count_tokens(std::uint64_t bytes) {
  return (bytes + 3) / 4;
}

}  // namespace weir::simulator
