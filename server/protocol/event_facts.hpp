// What one data event says: content, end, error, usage. Reads the event's JSON by its structure; a word in a model's
// text never counts. The layer below StreamFilter; holds nothing between events.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "protocol/request_view.hpp"
#include "protocol/usage.hpp"

namespace weir::protocol {

struct EventFacts {
  bool content = false;   // text, reasoning, refusal, tool call, audio, a finish reason
  bool terminal = false;  // nothing comes after it: [DONE], message_stop, a response that is over
  unsigned finishes = 0;  // choices that it finishes (chat, completions)
  bool error = false;
  bool flat_error = false;  // not in the form that every library raises (chat, completions, messages)
  bool only_usage = false;  // chat, completions: no choices, and usage is an object
  UsageReport usage;
  Span text;  // the inside of a string by which the event is content, in the data; empty: there is none

  // Top-level `usage` members that are null or an object, each with one comma: offsets into the data.
  std::array<Span, 4> usage_members{};
  std::array<Span, 4> usage_values{};  // their objects; empty where the member is null
  std::size_t usage_members_count = 0;
};

// `name` is the event's name, `data` its data; both as SseParser gives them.
EventFacts read_event(std::string_view name, std::string_view data, Api api);

// Is this event only there to keep the connection alive? (Comments are none of its business.)
bool is_keepalive(std::string_view name, bool has_data, std::string_view data);

}  // namespace weir::protocol
