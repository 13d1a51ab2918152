#include "simulator/vocabulary.hpp"

#include <array>

namespace weir::simulator {
namespace {

constexpr std::array<std::string_view, 26> vocabulary{" one",
                                                      " two",
                                                      " three",
                                                      " four",
                                                      " five",
                                                      " six",
                                                      " seven",
                                                      " eight",
                                                      " nine",
                                                      " ten",
                                                      " é",
                                                      " eleven",
                                                      " twelve",
                                                      " thirteen",
                                                      " fourteen",
                                                      " fifteen",
                                                      " 中",
                                                      " sixteen",
                                                      " seventeen",
                                                      " eighteen",
                                                      " nineteen",
                                                      " twenty",
                                                      " \xF0\x9F\x99\x82",
                                                      " naïve",
                                                      " 文",
                                                      ","};

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xC0u) == 0x80u;
}

}  // namespace

std::string_view word(std::uint64_t n) {
  if (n == 0) return vocabulary[0].substr(1);
  return vocabulary[n % vocabulary.size()];
}

std::string words(std::uint64_t count) {
  std::string text;
  for (std::uint64_t i = 0; i < count; ++i) text += word(i);
  return text;
}

std::vector<std::string> pieces_of(std::string_view text) {
  constexpr std::size_t piece_bytes_max = 12;
  std::vector<std::string> pieces;
  std::size_t begin = 0;
  while (begin < text.size()) {
    std::size_t end = begin + 1;
    while (end < text.size() && text[end] != ' ' && (end - begin < piece_bytes_max || continues(text[end]))) ++end;
    pieces.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return pieces;
}

}  // namespace weir::simulator
