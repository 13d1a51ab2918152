#include "protocol/model_family.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "protocol/ascii.hpp"

namespace weir::protocol {
namespace {

// The first word found decides, so distilled models (deepseek-r1-distill-qwen-32b) stand before what they were made by.
constexpr std::array<std::pair<std::string_view, TokenizerFamily>, 31> family_words{{
    {"distill-qwen", TokenizerFamily::qwen},
    {"distill-llama", TokenizerFamily::generic},
    {"deepseek", TokenizerFamily::deepseek},
    {"qwen", TokenizerFamily::qwen},
    {"qwq", TokenizerFamily::qwen},
    {"qvq", TokenizerFamily::qwen},
    {"gpt-4o", TokenizerFamily::o200k},
    {"gpt-4.1", TokenizerFamily::o200k},
    {"gpt-4.5", TokenizerFamily::o200k},
    {"gpt-4", TokenizerFamily::cl100k},
    {"gpt-35", TokenizerFamily::cl100k},  // Azure
    {"gpt-3.5", TokenizerFamily::cl100k},
    {"gpt-oss", TokenizerFamily::o200k},
    {"gpt-", TokenizerFamily::o200k},
    {"chatgpt", TokenizerFamily::o200k},
    {"codex", TokenizerFamily::o200k},
    {"computer-use", TokenizerFamily::o200k},
    {"text-embedding-", TokenizerFamily::cl100k},
    {"babbage-002", TokenizerFamily::cl100k},
    {"davinci-002", TokenizerFamily::cl100k},
    {"omni-moderation", TokenizerFamily::o200k},
    {"llama-3", TokenizerFamily::cl100k},  // the same splits, and a vocabulary that grew from it
    {"llama3", TokenizerFamily::cl100k},
    {"phi-4", TokenizerFamily::cl100k},
    {"claude", TokenizerFamily::generic},
    {"gemini", TokenizerFamily::generic},
    {"o1-", TokenizerFamily::o200k},
    {"o3-", TokenizerFamily::o200k},
    {"o4-", TokenizerFamily::o200k},
    {"o5-", TokenizerFamily::o200k},
    {"gpt5", TokenizerFamily::o200k},
}};

// A bit for each letter; words whose first one is not in a name need not be looked for.
std::uint32_t bit_of(char letter) {
  return 1U << (static_cast<unsigned char>(letter) & 31U);
}

}  // namespace

TokenizerFamily family_of_model(std::string_view model) {
  std::string name;
  std::uint32_t letters = 0;
  for (const char c : model.substr(0, 128)) {
    name += lower(c);
    letters |= bit_of(name.back());
  }
  for (const auto& [word, family] : family_words) {
    if ((letters & bit_of(word.front())) == 0) continue;
    // Two letters alone are too little within a name: they begin it, or a part of it.
    const std::size_t at = name.find(word);
    const bool is_short = word.size() == 3;
    if (at != std::string::npos && (!is_short || at == 0 || name[at - 1] == '/' || name[at - 1] == ':')) return family;
  }
  const std::string_view last = std::string_view(name).substr(name.find_last_of("/:") + 1);
  if (last == "o1" || last == "o3") return TokenizerFamily::o200k;
  return TokenizerFamily::generic;
}

std::string_view name_of(TokenizerFamily family) {
  constexpr std::array<std::string_view, tokenizer_family_count> names{"o200k", "cl100k", "deepseek", "qwen",
                                                                       "generic"};
  return names[static_cast<std::size_t>(family)];
}

}  // namespace weir::protocol
