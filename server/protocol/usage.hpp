// Token usage as answers and events report it, in every dialect seen (OpenAI, Responses, Anthropic, DeepSeek,
// Moonshot). Pure values; reading one usage object is read_usage of event_json.hpp, which alone needs simdjson.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/api.hpp"

namespace weir::protocol {

// Tokens as the upstream reported them; absent fields were not reported.
struct Usage {
  std::optional<std::uint64_t> input;   // prompt_tokens | input_tokens (+ Anthropic's cache_* fields: the whole prompt)
  std::optional<std::uint64_t> cached;  // of input: prompt_tokens_details.cached_tokens, prompt_cache_hit_tokens, ...
  std::optional<std::uint64_t> output;  // completion_tokens | output_tokens, reasoning included
  std::optional<std::uint64_t> reasoning;  // of output
};

// Usage of a complete JSON answer (chat, completions, embeddings, responses, messages); nullopt: none in it.
std::optional<Usage> usage_of_answer(std::string_view body, Api api);

// The fields of a usage object, not yet added up.
struct UsageReport {
  std::optional<std::uint64_t> input;      // prompt_tokens | input_tokens
  std::optional<std::uint64_t> output;     // completion_tokens | output_tokens
  std::optional<std::uint64_t> cached;     // *_tokens_details.cached_tokens, prompt_cache_hit_tokens, cached_tokens
  std::optional<std::uint64_t> reasoning;  // *_tokens_details.reasoning_tokens
  std::optional<std::uint64_t> cache_creation;  // Anthropic: beside input_tokens, not part of them
  std::optional<std::uint64_t> cache_read;      // Anthropic: the same

  bool any() const { return input || output || cached || reasoning || cache_creation || cache_read; }
};

// Anthropic reports in parts: fields of a later event replace those of an earlier one, absent ones stay.
void merge(UsageReport& report, const UsageReport& later);

Usage total_of(const UsageReport& report, Api api);

}  // namespace weir::protocol
