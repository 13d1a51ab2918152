// What a text costs in tokens by the weights of a tokenizer's family: the sum over its pairs of character classes and
// its runs of one kind, by class of tokens. Reads the inside of JSON strings straight from the raw body, escapes
// decoded on the way, or plain text. Sums are whole thousandths of a token, so that they come out the same in whatever
// order they are made. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "protocol/estimate_corrections.hpp"
#include "protocol/token_weights.hpp"

namespace weir::protocol {

class TokenSum {
 public:
  explicit TokenSum(const TokenWeights& weights) : weights_(&weights) {}

  // The raw inside of a string of a valid JSON document, or a stretch of it: one that ends within an escape or a
  // character is no fault. What stands in a row is one text only if it is read at once. `lead`: what stands before it
  // and is not counted, so that a stretch from within a text does not weigh as if it began one.
  void read_json(std::string_view inside, std::string_view lead = {});
  void read_plain(std::string_view utf8, std::string_view lead = {});

  // Adds all that was read, times `scale`.
  void add_to(TokenFeatures& features, double scale) const;

 private:
  template <bool escaped>
  class Pass;
  template <bool escaped>
  void read(std::string_view text, std::string_view lead);

  void add(TokenClass to, std::int64_t thousandths) { thousandths_[static_cast<std::size_t>(to)] += thousandths; }

  const TokenWeights* weights_;
  std::array<std::int64_t, token_class_count> thousandths_{};  // of a token
};

}  // namespace weir::protocol
