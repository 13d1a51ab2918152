// What the simulated provider reads in the body of a request: what it needs to count, to know what is asked for, and to
// refuse what a provider would refuse. Copies out the few fields it needs; keeps nothing of the body.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "simulator/options.hpp"
#include "simulator/route.hpp"

namespace weir::simulator {

struct ModelRequest {
  enum class RunningUsage { none, null_until_end, every_chunk };

  std::string model;
  bool stream = false;
  RunningUsage usage = RunningUsage::none;        // chat, completions: what stream_options asks for
  std::string stream_option;                      // the one of it that fewest providers know; empty: none
  std::optional<std::uint64_t> max_tokens;        // bounds the answer, at Ark without the thinking
  std::optional<std::uint64_t> max_total_tokens;  // max_completion_tokens, max_output_tokens: bounds both
  std::uint64_t n = 1;
  std::uint64_t best_of = 1;
  std::uint64_t prompt_tokens = 0;
  bool thinking = false;  // asked for by the body (`thinking`, `reasoning`)

  bool echoes = false;  // the last user message is "echo: …"
  std::string echo;     // the text after "echo: "
  bool calls_tool = false;
  std::string tool_name;
  std::string tool_arguments;  // JSON that fits the tool's schema roughly

  std::vector<std::uint64_t> embedding_inputs;  // a hash of each
  std::uint64_t dimensions = 32;
  bool base64 = false;

  std::string previous_response_id;
  bool store = true;  // responses
};

// Why a body is refused with 400.
struct BodyFault {
  std::string message;
  std::string param;
};

// What a provider that takes this much of stream_options says of a request; nullopt: nothing.
std::optional<BodyFault> stream_option_fault(const ModelRequest& request, StreamUsage taken);

class ModelRequestReader {
 public:
  ModelRequestReader();
  ~ModelRequestReader();
  ModelRequestReader(const ModelRequestReader&) = delete;
  ModelRequestReader& operator=(const ModelRequestReader&) = delete;

  // REQUIRES: is_inference(route) or Route::count_tokens. May reserve room behind the body.
  std::variant<ModelRequest, BodyFault> read(std::string& body, Route route);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::simulator
