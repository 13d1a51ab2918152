#include "simulator/output.hpp"

#include <algorithm>

#include "protocol/error_body.hpp"
#include "simulator/vocabulary.hpp"

namespace weir::simulator {
namespace {

constexpr std::uint64_t no_cap = ~std::uint64_t{0};

std::vector<std::string> escaped_pieces(std::string_view text) {
  std::vector<std::string> pieces = pieces_of(text);
  for (std::string& piece : pieces) piece = escaped(piece);
  return pieces;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string quoted = protocol::json_quote(text);
  return quoted.substr(1, quoted.size() - 2);
}

bool is_reasoning_model(std::string_view model) {
  return model.find("r1") != std::string_view::npos || model.find("reasoner") != std::string_view::npos;
}

Output::Output(const ModelRequest& request, const Behaviour& behaviour, Dialect dialect)
    : input_(request.prompt_tokens), cached_(std::min(behaviour.cached_tokens, request.prompt_tokens)) {
  rest_ = behaviour.output_tokens;
  if (request.echoes || request.calls_tool) {
    is_words_ = false;
    pieces_ = escaped_pieces(request.echoes ? request.echo : request.tool_arguments);
    rest_ = pieces_.size();
  }
  if (request.calls_tool) finish_ = Finish::tool_call;
  const bool thinks = request.thinking || is_reasoning_model(request.model);
  thoughts_ = behaviour.reasoning_tokens.value_or(thinks ? behaviour.output_tokens / 2 : 0);

  // At Ark max_tokens bounds the answer alone; everywhere else a cap covers the thoughts too (providers.md §8.2).
  const std::uint64_t cap = request.max_tokens.value_or(no_cap);
  std::uint64_t total_cap = request.max_total_tokens.value_or(no_cap);
  const std::uint64_t wanted = size();
  if (dialect == Dialect::ark) {
    rest_ = std::min(rest_, cap);
  } else {
    total_cap = std::min(total_cap, cap);
  }
  thoughts_ = std::min(thoughts_, total_cap);
  rest_ = std::min(rest_, total_cap - thoughts_);
  if (size() < wanted) finish_ = Finish::length;
}

std::string_view Output::token(std::uint64_t index) const {
  if (index < thoughts_) return word(index);
  index -= thoughts_;
  return is_words_ ? word(index) : std::string_view(pieces_[index]);
}

std::string Output::tokens(std::uint64_t begin, std::uint64_t end) const {
  std::string text;
  for (std::uint64_t i = begin; i < end; ++i) text += token(i);
  return text;
}

Usage Output::usage(std::uint64_t produced, std::uint64_t n) const {
  return {input_, produced * n, std::min(produced, thoughts_) * n, cached_};
}

}  // namespace weir::simulator
