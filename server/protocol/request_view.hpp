// Reads the JSON body of a request: what routing, parameter rules, budgets and retries need to know, and where
// each top-level member stands, so that the body can go upstream byte for byte except for a few splices.
// The whole document is validated (skipped values too), because weir and the upstream must not read it differently.
// Pure: bytes in, values out. Never keeps the body; spans are byte offsets into it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/api.hpp"

namespace weir::protocol {

// What is wrong with a body. `offset` is a byte offset into the body; `field` a JSON path such as "messages[2].role"
// or a top-level key, empty when the fault is in the syntax.
struct BodyError {
  enum class Kind { invalid_json, invalid_parameter, duplicate_key };
  Kind kind = Kind::invalid_json;
  std::string field;
  std::size_t offset = 0;
  std::string
      reason;  // one sentence for the caller, e.g. "expected ',' or '}' after a member"; never quotes prompt text
};

struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// One member of the top-level object.
struct Member {
  std::string name;  // unescaped
  Span key;          // with its quotes
  Span value;        // without surrounding white space
};

struct RequestView {
  Api api = Api::other;
  std::string model;  // empty: the body names none
  bool stream = false;
  bool asks_usage = false;                  // stream_options.include_usage is true
  bool asks_running_usage = false;          // and one of the options by which every chunk tells the usage so far
  std::optional<std::uint64_t> max_tokens;  // as sent; absent or null: nullopt
  std::optional<std::uint64_t> max_completion_tokens;
  std::optional<std::uint64_t> max_output_tokens;  // responses
  std::uint64_t n = 1;                             // chat, completions
  std::uint64_t best_of = 1;                       // completions
  bool many_prompts = false;                       // completions: a list, with n choices for each
  std::string user;                  // `safety_identifier`, else `user`; also Anthropic's metadata.user_id
  std::string previous_response_id;  // responses
  bool has_side_effects = false;     // responses with store != false, background or conversation
  bool has_non_text_input = false;   // an image, audio, video or file part in messages / input
  std::vector<Member> members;       // top level, in order of appearance

  const Member* find(std::string_view name) const;  // nullptr: not there
};

struct ReadLimits {
  std::size_t depth_max = 256;     // nesting of arrays and objects: deeper ones exhaust parsers' stacks upstream
  std::size_t members_max = 1024;  // of the top-level object: each costs about 100 bytes here, no API knows 100 names
};

// A reusable reader. Keep one per thread: it owns simdjson's buffers (4 to 12 bytes per body byte) and frees them
// after a body above 1 MiB. Not thread-safe.
class RequestReader {
 public:
  RequestReader();
  ~RequestReader();
  RequestReader(RequestReader&&) noexcept;
  RequestReader& operator=(RequestReader&&) noexcept;

  // Bytes of readable memory that must follow a body handed to read() (their value does not matter).
  static const std::size_t padding;

  // REQUIRES: body.data()[0 .. body.size() + padding) is readable.
  std::variant<RequestView, BodyError> read(std::string_view body, Api api, const ReadLimits& limits);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A change at an offset: `erase` bytes are left out and `insert` stands in their place.
struct Splice {
  std::size_t offset = 0;
  std::size_t erase = 0;
  std::string insert;
};

// The splices rules ask for. Each leaves valid JSON; combinations of them in any order stay valid when applied
// together, unless ask_for_usage meets drop_members that leaves no member at all. ask_for_usage returns nothing where
// there is nothing to ask (not a stream, not chat or completions, asked already).
// `running`: the provider's option for the usage so far in every chunk, if that is wanted too.
Splice replace_model(const RequestView& view, std::string_view model);  // REQUIRES: view.find("model")
std::vector<Splice> drop_members(std::string_view body, const RequestView& view,
                                 const std::vector<std::string_view>& names);
std::vector<Splice> ask_for_usage(std::string_view body, const RequestView& view, std::string_view running = {});

// What makes every chunk tell the usage so far: Ark's and vLLM's members of stream_options.
constexpr std::array<std::string_view, 2> running_usage_options{"chunk_include_usage", "continuous_usage_stats"};

// The body as pieces to be written in order; pieces point into `body` and into `splices`, which must outlive them.
// Sorts the splices. One that lies inside a stretch erased by another is left out: the larger change wins.
std::vector<std::string_view> apply_splices(std::string_view body, std::vector<Splice>& splices);

}  // namespace weir::protocol
