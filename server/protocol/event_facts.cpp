#include "protocol/event_facts.hpp"

#include <simdjson.h>

#include <algorithm>
#include <utility>

#include "protocol/event_json.hpp"
#include "protocol/json_scan.hpp"

namespace weir::protocol {
namespace {

namespace ondemand = simdjson::ondemand;

template <std::size_t n>
bool is_one_of(ondemand::raw_json_string key, const std::array<std::string_view, n>& names) {
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) { return key == name; });
}

// Calls `visit(key, value)` for each member of a value or a document. False: the JSON is broken, or `visit` said so.
template <class Json, class Visit>
bool for_each_member(Json& json, Visit visit) {
  ondemand::object object;
  if (json.get_object().get(object) != simdjson::SUCCESS) return false;
  for (auto next : object) {
    ondemand::field field;
    if (std::move(next).get(field) != simdjson::SUCCESS || !visit(field.key(), field.value())) return false;
  }
  return true;
}

// The next two are of what begins as an object. False: the JSON is broken.
bool read_usage_object(ondemand::value value, EventFacts& facts) {
  ondemand::object usage;
  return value.get_object().get(usage) == simdjson::SUCCESS && read_usage(usage, facts.usage);
}

bool read_usage_within(ondemand::value answer, EventFacts& facts) {
  return for_each_member(answer, [&](ondemand::raw_json_string key, ondemand::value value) {
    return key != "usage" || first_byte(value) != '{' || read_usage_object(value, facts);
  });
}

// A member of a delta that carries something makes the event content.
void note_content(ondemand::value value, EventFacts& facts) {
  if (!carries(value)) return;
  facts.content = true;
  const std::string_view inside = inside_of(value);
  if (inside.empty()) return;
  facts.text.begin = static_cast<std::size_t>(inside.data() - parsed_copy().data());
  facts.text.end = facts.text.begin + inside.size();
}

// --- chat and completions
// ---------------------------------------------------------------------------------------------

constexpr std::array<std::string_view, 10> delta_contents{"content",    "reasoning_content", "reasoning", "refusal",
                                                          "tool_calls", "function_call",     "audio",     "thinking",
                                                          "images",     "reasoning_details"};

bool read_choice(ondemand::value choice, EventFacts& facts) {
  if (first_byte(choice) != '{') return true;
  return for_each_member(choice, [&](ondemand::raw_json_string key, ondemand::value value) {
    if (key == "finish_reason") {
      facts.finishes += carries(value) ? 1 : 0;
    } else if (key == "text") {
      note_content(value, facts);
    } else if ((key == "delta" || key == "message") && first_byte(value) == '{') {
      return for_each_member(value, [&](ondemand::raw_json_string inner, ondemand::value part) {
        if (is_one_of(inner, delta_contents)) note_content(part, facts);
        return true;
      });
    } else if (key == "usage" && first_byte(value) == '{') {  // Moonshot
      return read_usage_object(value, facts);
    }
    return true;
  });
}

// Widens a member to take one comma with it: the one before, or, where nothing before it stays, the one after.
void note_usage_member(std::string_view data, std::size_t begin, std::size_t end, Span object, EventFacts& facts) {
  if (facts.usage_members_count == facts.usage_members.size()) return;
  std::size_t before = begin;
  while (before > 0 && json::is_space(data[before - 1])) --before;
  const bool has_previous = facts.usage_members_count > 0;
  const std::size_t erased_end = has_previous ? facts.usage_members[facts.usage_members_count - 1].end : 0;
  if (before > erased_end && data[before - 1] == ',') {
    begin = before - 1;
  } else {
    std::size_t after = end;
    while (after < data.size() && json::is_space(data[after])) ++after;
    if (after < data.size() && data[after] == ',') {
      end = after + 1;
      while (end < data.size() && json::is_space(data[end])) ++end;
    }
  }
  facts.usage_values[facts.usage_members_count] = object;
  facts.usage_members[facts.usage_members_count++] = {begin, end};
}

bool read_usage_member(ondemand::document& document, ondemand::field& field, EventFacts& facts) {
  const std::string_view data = parsed_copy();
  const auto offset = [&](const char* at) { return static_cast<std::size_t>(at - data.data()); };
  const std::size_t begin = offset(field.key().raw()) - 1;
  ondemand::value value = field.value();
  if (const std::string_view token = value.raw_json_token(); json::trim(token) == "null") {
    note_usage_member(data, begin, offset(token.data()) + 4, {}, facts);
    return true;
  }
  if (first_byte(value) != '{') return true;
  const std::size_t value_begin = offset(value.raw_json_token().data());
  facts.usage = UsageReport();
  facts.only_usage = true;
  const char* after = nullptr;
  if (!read_usage_object(value, facts) || document.current_location().get(after) != simdjson::SUCCESS ||
      offset(after) >= data.size()) {
    return false;
  }
  std::size_t end = offset(after);
  while (json::is_space(data[end - 1])) --end;
  note_usage_member(data, begin, end, {value_begin, end}, facts);
  return true;
}

bool read_chat(ondemand::document& document, EventFacts& facts) {
  bool has_choices = false;
  bool nested_error = false;
  ondemand::object root;
  if (document.get_object().get(root) != simdjson::SUCCESS) return false;
  for (auto next : root) {
    ondemand::field field;
    if (std::move(next).get(field) != simdjson::SUCCESS) return false;
    const ondemand::raw_json_string key = field.key();
    if (key == "choices" && first_byte(field.value()) == '[') {
      ondemand::array choices;
      if (field.value().get_array().get(choices) != simdjson::SUCCESS) return false;
      for (auto element : choices) {
        ondemand::value choice;
        if (std::move(element).get(choice) != simdjson::SUCCESS || !read_choice(choice, facts)) return false;
        has_choices = true;
      }
    } else if (key == "usage") {
      if (!read_usage_member(document, field, facts)) return false;
    } else if (key == "error") {
      nested_error |= carries(field.value());
    } else if (key == "object" || key == "type") {  // vLLM's and others' flat errors
      facts.flat_error |= is_text(field.value(), "error");
    }
  }
  facts.error |= nested_error || facts.flat_error;
  if (nested_error) facts.flat_error = false;
  facts.content |= facts.finishes > 0;
  facts.only_usage &= !has_choices;
  return true;
}

// --- responses
// --------------------------------------------------------------------------------------------------------

struct ResponsesEvent {
  std::string_view type;
  bool carries_text = false;  // delta, text, arguments, ...
  bool opens_call = false;    // an item that is neither a message nor reasoning
};

bool read_responses_member(ondemand::raw_json_string key, ondemand::value value, ResponsesEvent& event,
                           EventFacts& facts) {
  if (key == "type") {
    event.type = inside_of(value);
  } else if (key == "delta" || key == "text" || key == "refusal") {
    event.carries_text |= carries(value);
  } else if (key == "item" && first_byte(value) == '{') {
    return for_each_member(value, [&](ondemand::raw_json_string inner, ondemand::value part) {
      if (inner == "type") event.opens_call = !is_text(part, "message") && !is_text(part, "reasoning");
      return true;
    });
  } else if (key == "part" && first_byte(value) == '{') {
    return for_each_member(value, [&](ondemand::raw_json_string inner, ondemand::value part) {
      if (inner == "text" || inner == "refusal") event.carries_text |= carries(part);
      return true;
    });
  } else if (key == "response" && first_byte(value) == '{') {
    return read_usage_within(value, facts);
  } else if (key == "error") {
    facts.error |= carries(value);
  }
  return true;
}

bool is_lifecycle(std::string_view type) {
  return type == "response.created" || type == "response.queued" || type == "response.in_progress";
}

bool ends_well(std::string_view type) {
  return type == "response.completed" || type == "response.incomplete";
}

bool ends_badly(std::string_view type) {
  return type == "response.failed" || type == "response.cancelled";
}

void judge_responses(const ResponsesEvent& event, EventFacts& facts) {
  const std::string_view type = event.type;
  facts.error |= type == "error" || type == "response.failed";
  facts.terminal = ends_well(type) || ends_badly(type);
  if (!facts.terminal) facts.usage = UsageReport();  // of an earlier response, or a running one
  if (type == "response.output_item.added") {
    facts.content = event.opens_call;
  } else if (type == "response.content_part.added" || type == "response.reasoning_summary_part.added" ||
             type.ends_with(".delta")) {
    facts.content = event.carries_text;
  } else {
    facts.content = type.starts_with("response.") && !is_lifecycle(type) && !ends_badly(type);
  }
}

bool read_responses(ondemand::document& document, std::string_view name, EventFacts& facts) {
  ResponsesEvent event;
  const auto note = [&](ondemand::raw_json_string key, ondemand::value value) {
    return read_responses_member(key, value, event, facts);
  };
  if (!for_each_member(document, note)) return false;
  if (event.type.empty()) event.type = name;
  judge_responses(event, facts);
  return true;
}

// --- messages
// ---------------------------------------------------------------------------------------------------------

struct MessagesEvent {
  std::string_view type;
  std::string_view block_type;
  bool block_carries = false;
  bool error_object = false;
};

bool read_messages_member(ondemand::raw_json_string key, ondemand::value value, MessagesEvent& event,
                          EventFacts& facts) {
  if (key == "type") {
    event.type = inside_of(value);
  } else if (key == "delta" && first_byte(value) == '{') {
    return for_each_member(value, [&](ondemand::raw_json_string inner, ondemand::value part) {
      if (inner != "type") note_content(part, facts);  // text, thinking, partial_json, signature, stop_reason
      return true;
    });
  } else if (key == "content_block" && first_byte(value) == '{') {
    return for_each_member(value, [&](ondemand::raw_json_string inner, ondemand::value part) {
      if (inner == "type") event.block_type = inside_of(part);
      if (inner == "text" || inner == "thinking") event.block_carries |= carries(part);
      return true;
    });
  } else if (key == "usage" && first_byte(value) == '{') {
    return read_usage_object(value, facts);
  } else if (key == "message" && first_byte(value) == '{') {
    return read_usage_within(value, facts);
  } else if (key == "error") {
    facts.error |= carries(value);
    event.error_object = first_byte(value) == '{';
  }
  return true;
}

bool read_messages(ondemand::document& document, std::string_view name, EventFacts& facts) {
  MessagesEvent event;
  const auto note = [&](ondemand::raw_json_string key, ondemand::value value) {
    return read_messages_member(key, value, event, facts);
  };
  if (!for_each_member(document, note)) return false;
  const bool told_as_error = name == "error" && event.type == "error" && event.error_object;
  if (event.type.empty()) event.type = name;
  const bool empty_start = event.block_type == "text" || event.block_type == "thinking";
  facts.error |= event.type == "error";
  facts.flat_error = facts.error && !told_as_error;  // some libraries go by the name, others by the data
  facts.terminal = event.type == "message_stop";
  facts.content |= facts.terminal || (event.type == "content_block_start" && (event.block_carries || !empty_start));
  return true;
}

bool read_json(std::string_view name, std::string_view data, Api api, EventFacts& facts) {
  ondemand::document document;
  if (!parse_copy(data, document)) return false;
  if (api == Api::messages) return read_messages(document, name, facts);
  if (api == Api::responses) return read_responses(document, name, facts);
  return read_chat(document, facts);
}

// `{}` or `{"type":"ping"}`, with any white space between the tokens.
bool is_empty_or_ping(std::string_view data) {
  constexpr std::array<std::string_view, 5> ping{"{", "\"type\"", ":", "\"ping\"", "}"};
  const auto take = [&](std::string_view token) {
    data = json::trim(data);
    if (!data.starts_with(token)) return false;
    data.remove_prefix(token.size());
    return true;
  };
  if (!take(ping[0])) return false;
  if (take("}")) return json::trim(data).empty();
  return take(ping[1]) && take(ping[2]) && take(ping[3]) && take(ping[4]) && json::trim(data).empty();
}

}  // namespace

EventFacts read_event(std::string_view name, std::string_view data, Api api) {
  EventFacts facts;
  if (json::trim(data) == "[DONE]") {
    facts.terminal = true;
    return facts;
  }
  const bool chunks = api == Api::chat || api == Api::completions;
  const bool known = chunks || api == Api::responses || api == Api::messages;
  if (!known) {
    facts.content = true;
  } else if (!read_json(name, data, api, facts)) {
    facts = EventFacts();  // broken JSON proves nothing
  }
  release_large_copy();
  // Named so, it may have said it under `error` too.
  if (name == "error" && !facts.error) {
    facts.error = true;
    facts.flat_error = chunks || api == Api::messages;
  }
  if (facts.error) facts.content = facts.only_usage = false;
  return facts;
}

bool is_keepalive(std::string_view name, bool has_data, std::string_view data) {
  // A short look first: nearly every event is an object that is no ping.
  if (!has_data) return true;
  if (name.empty() && !data.empty() && data.front() == '{') return false;
  const std::string_view text = json::trim(data);
  if (text.empty() || text.front() == ':') return true;
  const bool ping = name == "ping" || name == "keepalive" || name == "keep-alive";
  return ping && is_empty_or_ping(text);
}

}  // namespace weir::protocol
