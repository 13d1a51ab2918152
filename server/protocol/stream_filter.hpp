// Between an upstream's event stream and the client: relays complete events the moment they are complete, normalises
// framing only (LF line ends, no BOM) and errors that no library would notice, absorbs keep-alives, and notes what
// passes: first content, usage, end, error.
// Correct for any bytes and any split. Pure: no I/O, no clock. One per response; not thread-safe.
//
// Zero copy where it can be: output slices point into the fed bytes wherever those can cross unchanged (neighbouring
// events merge into one slice) and into the filter's own buffer otherwise. Steady state allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/api.hpp"
#include "protocol/chunk_memo.hpp"
#include "protocol/sse_parser.hpp"
#include "protocol/usage.hpp"

namespace weir::protocol {

// What of the usage in a chat or completions stream weir asked for on its own, so that the client must not see it.
enum class HideUsage : std::uint8_t {
  nothing,
  all,      // the client asked for none: the chunk that carries nothing else goes, and `usage` goes from the others
  running,  // it asked for the total only: before that chunk `usage` is null
  total,    // it asked for running usage only: that chunk goes
};

struct FilterOptions {
  Api api = Api::chat;
  HideUsage hide_usage = HideUsage::nothing;
  std::size_t event_bytes_max = 1024 * 1024;  // an event above this passes through as it arrives
  std::uint64_t choices = 1;  // that will finish (chat, completions); 0: nobody knows, only [DONE] ends the stream
};

class StreamFilter {
 public:
  explicit StreamFilter(const FilterOptions& options);

  // Appends to `out` what may cross now. Slices stay valid until the next call of feed() or finish() and as long as
  // `bytes` does.
  void feed(std::string_view bytes, std::vector<std::string_view>& out);

  // The upstream ended its body cleanly: appends what remains of an unfinished event, closed with a blank line, unless
  // the stream had ended before it.
  // (When the upstream was cut, do not call it: an unfinished event must not reach the client.)
  void finish(std::vector<std::string_view>& out);

  // What has passed so far.
  // An event with text, reasoning, refusal, tool call, audio or finish reason. Never an error event.
  bool content_seen() const { return contents_ > 0; }
  // The last word: [DONE], message_stop, response.completed|incomplete|failed, or the finish_reason of every choice.
  bool terminal_seen() const { return ended_ || (options_.choices > 0 && finished_ >= options_.choices); }
  // Has it said anything that could be its last word? Of several choices the servers that know only one finish one.
  bool finish_seen() const { return ended_ || finished_ > 0 || unread_; }
  // After it there is nothing: the finish_reasons are not it, since usage may follow.
  bool ended() const { return ended_; }
  // Part of an event above event_bytes_max went out and is not finished.
  bool mid_event() const { return parser_.mid_event(); }
  // The last usage reported.
  std::optional<Usage> usage() const { return told_ ? std::optional(told_->usage) : std::nullopt; }
  // The data of the first error event that has passed (chat: top-level `error`; `event: error`; responses: flat type
  // "error", response.failed); else "".
  const std::string& error_event() const { return error_event_; }
  std::uint64_t events() const { return events_; }      // data events that crossed
  std::uint64_t contents() const { return contents_; }  // content events that crossed: a change means progress
  std::uint64_t keepalives_absorbed() const { return parser_.comments() + absorbed_; }

 private:
  // A stretch of output: in the fed bytes, or in rewritten_.
  struct Piece {
    bool in_input;
    std::size_t begin, end;
  };

  void take(SseItem& item);
  void take_event(SseItem& item);
  void take_fragment(const SseItem& item);
  void note(const EventFacts& facts, std::string_view data);
  void push(std::string_view text, bool in_input);
  void push_changed(const SseItem& item, std::span<const Span> changed, std::string_view instead);
  void flush(std::vector<std::string_view>& out);

  FilterOptions options_;
  SseParser parser_;
  ChunkMemo memo_;
  std::string_view input_;     // the bytes of the feed() that is running
  std::vector<Piece> pieces_;  // its output so far; keeps its capacity
  std::string rewritten_;      // what could not cross as it stood; keeps its capacity

  bool ended_ = false;
  std::uint64_t finished_ = 0;
  bool unread_ = false;  // the last event was too large to be looked into; usage may follow a last word
  struct Told {
    Usage usage;
    UsageReport report;  // Anthropic's comes in parts
  };
  std::unique_ptr<Told> told_;
  std::string error_event_;
  std::uint64_t events_ = 0;
  std::uint64_t contents_ = 0;
  std::uint64_t absorbed_ = 0;
};

}  // namespace weir::protocol
