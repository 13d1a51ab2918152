// How many tokens a prompt will be counted as, before it is sent. Reads the decoded text straight from a validated body
// and knows the tokenizer family of the model by its habits (character classes, not a vocabulary); learns the rest per
// model from what upstreams report. Pure: no clock, no I/O. One for the process: safe to call from every worker thread.
//
// An estimate takes half a microsecond and about a nanosecond per byte of text; of texts beyond 64 KiB it reads
// evenly spread blocks. Its error, measured: docs/estimates.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "protocol/request_view.hpp"

namespace weir::protocol {

// What corrections are learned for: kinds of characters, and parts that are no text.
enum class TokenClass : std::uint8_t {
  words,      // Latin letters
  digits,     //
  marks,      // white space and ASCII punctuation
  alphabets,  // accented Latin, Cyrillic, Greek, Arabic, Hebrew
  han,        // with CJK punctuation
  syllables,  // kana and Hangul
  others,     // symbols, emoji, other scripts
  framing,    // what a template puts around each message
  tools,      // what it puts around each tool
  media,      // images, audio, files
  constant,   // what a provider puts in front of every prompt
};
constexpr std::size_t token_class_count = 11;

struct PromptEstimate {
  std::uint64_t input = 0;  // all of the below, as corrected by what was learned
  std::uint64_t text = 0, framing = 0, tools = 0, images = 0, other = 0;
  std::uint64_t token_ids = 0;  // given as numbers: counted exactly

  // What `usage` will say at most, and what a provider that estimates on arrival will charge at most: both with a
  // probability of 99 %, as far as 20 or more corrections tell; before that with a margin measured on the corpus.
  std::uint64_t upper = 0;
  std::uint64_t on_arrival = 0;

  bool sampled = false;                             // of a long text, only blocks were read
  std::array<float, token_class_count> features{};  // uncorrected, for learn(); token_ids are not in it
};

class TokenEstimator {
 public:
  TokenEstimator();
  ~TokenEstimator();
  TokenEstimator(const TokenEstimator&) = delete;
  TokenEstimator& operator=(const TokenEstimator&) = delete;

  // `model` decides the family of the tokenizer and names the corrections: the upstream's own name for the model, or
  // what it is based on where that name says nothing (ModelProfile::base_model).
  // REQUIRES: `view` was read from `body`.
  PromptEstimate estimate(std::string_view body, const RequestView& view, std::string_view model) const;
  // The same for a text that is no request.
  PromptEstimate estimate_text(std::string_view utf8, std::string_view model) const;

  // The upstream reported so many input tokens (cached ones included) for a prompt that was estimated so.
  void learn(std::string_view model, const PromptEstimate& estimate, std::uint64_t actual_input);
  // The upstream's own estimate of the input, from a refusal (proxy::input_of_requested).
  void learn_requested(std::string_view model, const PromptEstimate& estimate, std::uint64_t requested_input);

  // Factor between `input` and `upper` for this model at present.
  double margin(std::string_view model) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::protocol
