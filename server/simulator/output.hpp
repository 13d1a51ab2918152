// What the simulated model says to one request, token by token, before any API gives it a shape: thoughts first where
// it is a reasoning model, then words, the echo, or the arguments of a tool call. Pure; memory does not grow with the
// length of an answer of words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "simulator/behaviour.hpp"
#include "simulator/model_request.hpp"

namespace weir::simulator {

enum class Finish { stop, length, tool_call };

struct Usage {
  std::uint64_t input = 0;
  std::uint64_t output = 0;  // thoughts included
  std::uint64_t reasoning = 0;
  std::uint64_t cached = 0;  // part of the input
};

class Output {
 public:
  Output(const ModelRequest& request, const Behaviour& behaviour, Dialect dialect);

  std::uint64_t thoughts() const { return thoughts_; }
  std::uint64_t size() const { return thoughts_ + rest_; }  // tokens of one choice
  bool is_thought(std::uint64_t index) const { return index < thoughts_; }
  // The token as the inside of a JSON string.
  std::string_view token(std::uint64_t index) const;
  // Tokens [begin, end) together, as the inside of a JSON string.
  std::string tokens(std::uint64_t begin, std::uint64_t end) const;
  std::string all_thoughts() const { return tokens(0, thoughts_); }
  std::string all_but_thoughts() const { return tokens(thoughts_, size()); }

  Finish finish() const { return finish_; }
  // With `produced` tokens of each of `n` choices.
  Usage usage(std::uint64_t produced, std::uint64_t n) const;

 private:
  std::vector<std::string> pieces_;  // of an echo or of a tool's arguments; empty: words
  bool is_words_ = true;
  std::uint64_t thoughts_ = 0;
  std::uint64_t rest_ = 0;
  std::uint64_t input_ = 0;
  std::uint64_t cached_ = 0;
  Finish finish_ = Finish::stop;
};

// A name by which a model is known to think before it answers.
bool is_reasoning_model(std::string_view model);

// The inside of a JSON string.
std::string escaped(std::string_view text);

}  // namespace weir::simulator
