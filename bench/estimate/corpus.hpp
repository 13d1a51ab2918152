// Reads what corpus.mjs wrote: texts with the counts of real tokenizers.
#pragma once

#include <simdjson.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/token_weights.hpp"

struct CountedText {
  std::string kind, text;
  std::array<double, weir::protocol::fitted_family_count> counts{};  // by TokenizerFamily
};

inline std::vector<CountedText> read_corpus(const char* file) {
  constexpr std::size_t line_max = 32u << 20;
  simdjson::dom::parser parser;
  simdjson::dom::document_stream lines = parser.load_many(file, line_max);
  std::vector<CountedText> texts;
  for (auto line : lines) {
    CountedText& text = texts.emplace_back();
    text.kind = std::string(std::string_view(line["kind"]));
    text.text = std::string(std::string_view(line["text"]));
    for (std::size_t i = 0; i < text.counts.size(); ++i) {
      const std::string_view family = name_of(static_cast<weir::protocol::TokenizerFamily>(i));
      text.counts[i] = static_cast<double>(std::uint64_t(line["counts"][family]));
    }
  }
  return texts;
}
