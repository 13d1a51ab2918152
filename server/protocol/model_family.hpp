// Which tokenizer a model has, by its name: what is known of names, nothing of models. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir::protocol {

enum class TokenizerFamily : std::uint8_t {
  o200k,     // OpenAI since gpt-4o
  cl100k,    // gpt-4, gpt-3.5, text-embedding-3
  deepseek,  // V3, R1 and later
  qwen,      // one token per digit
  generic,   // anything else: the mean of what is known
};
constexpr std::size_t tokenizer_family_count = 5;

// By the words in it: "deepseek-r1-250528", "openai/gpt-4o-mini", "ft:gpt-4o:acme", "Qwen/Qwen3-32B".
TokenizerFamily family_of_model(std::string_view model);
std::string_view name_of(TokenizerFamily family);

}  // namespace weir::protocol
