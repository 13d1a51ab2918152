// Between an upstream's event stream and the client: relays complete events the moment they are complete, normalises
// framing only (LF line ends, no BOM), absorbs keep-alives, and notes what passes: first content, usage, end, error.
// Correct for any bytes and any split. Pure: no I/O, no clock. One per response; not thread-safe.
//
// Zero copy where it can be: output slices point into the fed bytes wherever those can cross unchanged (neighbouring
// events merge into one slice) and into the filter's own buffer otherwise. Steady state allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/api.hpp"

namespace weir::protocol {

// Tokens as the upstream reported them; absent fields were not reported.
struct Usage {
  std::optional<std::uint64_t> input;      // prompt_tokens | input_tokens (+ Anthropic's cache_* fields: the whole prompt)
  std::optional<std::uint64_t> cached;     // of input: prompt_tokens_details.cached_tokens, prompt_cache_hit_tokens, ...
  std::optional<std::uint64_t> output;     // completion_tokens | output_tokens, reasoning included
  std::optional<std::uint64_t> reasoning;  // of output
};

// Usage of a complete JSON answer (chat, completions, embeddings, responses, messages); nullopt: none in it.
std::optional<Usage> usage_of_answer(std::string_view body, Api api);

struct FilterOptions {
  Api api = Api::chat;
  bool hide_usage = false;                      // weir asked for usage on its own: drop the usage chunk with empty choices
                                                // and the `"usage":null` members of the other chunks
  std::size_t event_bytes_max = 1024 * 1024;    // an event above this passes through as it arrives
};

class StreamFilter {
 public:
  explicit StreamFilter(const FilterOptions& options);

  // Appends to `out` what may cross now. Slices stay valid until the next call of feed() or finish() and as long as
  // `bytes` does.
  void feed(std::string_view bytes, std::vector<std::string_view>& out);

  // The upstream ended its body cleanly: appends what remains of an unfinished event, closed with a blank line.
  // (When the upstream was cut, do not call it: an unfinished event must not reach the client.)
  void finish(std::vector<std::string_view>& out);

  // What has passed so far.
  bool content_seen() const;                    // an event with text, reasoning, refusal, tool call, audio or finish reason
  bool terminal_seen() const;                   // [DONE], a finish_reason, message_stop, response.completed|incomplete|failed
  bool mid_event() const;                       // part of an event above event_bytes_max went out and is not finished
  const std::optional<Usage>& usage() const;    // the last usage reported
  const std::string& error_event() const;       // the data of an error event that has passed (chat: top-level `error`;
                                                // `event: error`; responses: flat type "error", response.failed); else ""
  std::uint64_t events() const;                 // data events that crossed
  std::uint64_t contents() const;               // content events that crossed: a change means progress
  std::uint64_t keepalives_absorbed() const;

 private:
  // Owned by the implementer of stream_filter.cpp: replace with real members.
};

}  // namespace weir::protocol
