#include "protocol/request_members.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <unordered_set>
#include <utility>

#include "protocol/json_scan.hpp"

namespace weir::protocol {
namespace {

using Fault = std::optional<BodyError>;

// A member's value: its text and where it stands.
struct MemberValue {
  std::string_view name;
  std::string_view text;
  std::size_t offset;

  bool is_null() const { return text == "null"; }
  bool is_string() const { return text.front() == '"'; }
  bool is_array() const { return text.front() == '['; }
  bool is_object() const { return text.front() == '{'; }
  bool is_boolean() const { return text == "true" || text == "false"; }
  std::string string() const { return json::unescape(text.substr(1, text.size() - 2)); }
};

BodyError wrong(const MemberValue& value, const char* expected) {
  return {BodyError::Kind::invalid_parameter, std::string(value.name), value.offset,
          std::string(value.name) + " must be " + expected};
}

// Integers may be written as 1e3 or 4096.0, which some clients' number types do. nullopt: not a non-negative integer.
std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  if (const auto [stop, error] = std::from_chars(text.data(), end, value); error == std::errc() && stop == end) {
    return value;
  }
  double real = 0;
  const auto [stop, error] = std::from_chars(text.data(), end, real);
  constexpr double exact_max = 9007199254740992.0;  // 2^53: above it a double no longer names one integer
  if (error != std::errc() || stop != end || real < 0 || real > exact_max || real != std::floor(real)) return {};
  return static_cast<std::uint64_t>(real);
}

Fault read_limit(const MemberValue& value, std::optional<std::uint64_t>& out) {
  if (value.is_null()) return {};
  out = whole_number(value.text);
  return out ? Fault() : wrong(value, "a non-negative integer");
}

Fault read_count(const MemberValue& value, std::uint64_t& out) {
  if (value.is_null()) return {};
  const auto count = whole_number(value.text);
  if (!count || *count == 0) return wrong(value, "a positive integer");
  out = *count;
  return {};
}

Fault read_model(const MemberValue& value, RequestView& view) {
  if (!value.is_string()) return wrong(value, "a string");
  view.model = value.string();
  return {};
}

Fault read_stream(const MemberValue& value, RequestView& view) {
  if (!value.is_boolean() && !value.is_null()) return wrong(value, "true or false");
  view.stream = value.text == "true";
  return {};
}

Fault read_stream_options(const MemberValue& value, RequestView& view) {
  if (value.is_null()) return {};
  if (!value.is_object()) return wrong(value, "an object");
  json::Members members(value.text);
  while (members.next()) {
    const std::string key = json::unescape(members.key().substr(1, members.key().size() - 2));
    const bool running =
        std::find(running_usage_options.begin(), running_usage_options.end(), key) != running_usage_options.end();
    if (running) view.asks_running_usage |= members.value() == "true";
    if (key != "include_usage") continue;
    const auto offset = value.offset + static_cast<std::size_t>(members.value().data() - value.text.data());
    const MemberValue inner{"stream_options.include_usage", members.value(), offset};
    if (!inner.is_boolean() && !inner.is_null()) return wrong(inner, "true or false");
    view.asks_usage = inner.text == "true";
  }
  return {};
}

// Embeddings' and completions' input: texts or token lists, so only an object or a bare scalar is surely wrong.
Fault check_input(const MemberValue& value, const RequestView& view) {
  const bool may_be_absent = view.api != Api::embeddings;
  if (value.is_string() || value.is_array() || (may_be_absent && value.is_null())) return {};
  return wrong(value, "a string or an array");
}

// Texts or token lists; numbers are one prompt.
bool is_list_of_prompts(const MemberValue& value) {
  if (!value.is_array()) return false;
  const std::string_view inside = json::trim(value.text.substr(1));
  return inside.front() == '"' || inside.front() == '[';
}

std::string user_id_of(const MemberValue& metadata) {
  if (!metadata.is_object()) return {};
  json::Members members(metadata.text);
  while (members.next()) {
    if (members.key() == "\"user_id\"" && members.value().front() == '"') {
      return json::unescape(members.value().substr(1, members.value().size() - 2));
    }
  }
  return {};
}

// Who the caller says the end user is. OpenAI's newer field goes before the older one.
void read_user(const MemberValue& value, RequestView& view) {
  if (value.name == "metadata" && view.api == Api::messages) view.user = user_id_of(value);
  if (view.api == Api::messages || !value.is_string()) return;
  if (value.name == "safety_identifier" || (value.name == "user" && view.user.empty())) view.user = value.string();
}

// What makes a call to /responses more than a question: it must not be sent twice, and must find its account again.
void read_responses_state(const MemberValue& value, RequestView& view, bool& stores) {
  if (value.name == "previous_response_id" && value.is_string()) view.previous_response_id = value.string();
  if (value.name == "store") stores = value.text != "false";
  if (value.name == "background") view.has_side_effects |= value.text == "true";
  if (value.name == "conversation") view.has_side_effects |= !value.is_null();
}

Fault read_member(const MemberValue& value, RequestView& view) {
  const std::string_view name = value.name;
  const Api api = view.api;
  const bool chat = api == Api::chat;
  const bool completions = api == Api::completions;
  if (name == "model") return read_model(value, view);
  if (name == "stream") return read_stream(value, view);
  if (name == "messages" && (chat || api == Api::messages)) {
    return value.is_array() ? Fault() : wrong(value, "an array of messages");
  }
  if (name == "max_tokens" && (chat || completions || api == Api::messages)) return read_limit(value, view.max_tokens);
  if (name == "max_completion_tokens" && chat) return read_limit(value, view.max_completion_tokens);
  if (name == "max_output_tokens" && api == Api::responses) return read_limit(value, view.max_output_tokens);
  if (name == "n" && (chat || completions)) return read_count(value, view.n);
  if (name == "best_of" && completions) return read_count(value, view.best_of);
  if (name == "stream_options" && (chat || completions || api == Api::responses))
    return read_stream_options(value, view);
  if (name == "input" && (api == Api::embeddings || api == Api::responses)) return check_input(value, view);
  if (name == "prompt" && completions) {
    view.many_prompts = is_list_of_prompts(value);
    return check_input(value, view);
  }
  return {};
}

// The first member whose name stood before; nullptr: all differ. Few members are compared in pairs, many are sorted.
const Member* find_repeated(const std::vector<Member>& members) {
  constexpr std::size_t pairs_max = 24;
  if (members.size() <= pairs_max) {
    for (std::size_t i = 1; i < members.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (members[i].name == members[j].name) return &members[i];
      }
    }
    return nullptr;
  }
  std::vector<const Member*> sorted;
  sorted.reserve(members.size());
  for (const Member& member : members) sorted.push_back(&member);
  std::sort(sorted.begin(), sorted.end(), [](const Member* a, const Member* b) {
    const int order = a->name.compare(b->name);
    return order != 0 ? order < 0 : a < b;
  });
  const Member* first = nullptr;
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i - 1]->name == sorted[i]->name && (first == nullptr || sorted[i] < first)) first = sorted[i];
  }
  return first;
}

// Every name of a top-level member that is read here, of all APIs.
constexpr std::array<std::string_view, 17> names_read{"model",
                                                      "stream",
                                                      "stream_options",
                                                      "messages",
                                                      "input",
                                                      "prompt",
                                                      "max_tokens",
                                                      "max_completion_tokens",
                                                      "max_output_tokens",
                                                      "n",
                                                      "best_of",
                                                      "user",
                                                      "safety_identifier",
                                                      "previous_response_id",
                                                      "store",
                                                      "background",
                                                      "conversation"};

// Lower case as lenient readers of JSON see it (Go's encoding/json): letters, the long s and the Kelvin sign.
std::string folded(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    const bool long_s = name.starts_with("\xc5\xbf"), kelvin = name.starts_with("\xe2\x84\xaa");
    const char c = name.front();
    out += long_s ? 's' : kelvin ? 'k' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    name.remove_prefix(long_s ? 2 : kelvin ? 3 : 1);
  }
  return out;
}

// Certainly its own folded form, as nearly all names are.
bool is_plain(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x80 && (c < 'A' || c > 'Z');
  });
}

// Readers that do not mind the case of a name take the last member of those that differ in it only. So none may stand
// beside another, nor alone for one that weir reads.
Fault find_disguised(const std::vector<Member>& members) {
  if (std::all_of(members.begin(), members.end(), [](const Member& member) { return is_plain(member.name); }))
    return {};
  std::unordered_set<std::string> seen;
  for (const Member& member : members) {
    if (!seen.insert(folded(member.name)).second) {
      return BodyError{BodyError::Kind::duplicate_key, member.name, member.key.begin,
                       "the member stands twice in the body, in letters of another case"};
    }
  }
  for (const Member& member : members) {
    const std::string name = folded(member.name);
    if (name == member.name || std::find(names_read.begin(), names_read.end(), name) == names_read.end()) continue;
    return BodyError{BodyError::Kind::invalid_parameter, member.name, member.key.begin, "write it '" + name + "'"};
  }
  return {};
}

}  // namespace

std::optional<BodyError> read_members(std::string_view body, RequestView& view) {
  if (const Member* const repeated = find_repeated(view.members)) {
    return BodyError{BodyError::Kind::duplicate_key, repeated->name, repeated->key.begin,
                     "the member stands twice in the body; weir and the upstream could read different ones"};
  }
  if (auto fault = find_disguised(view.members)) return fault;
  bool stores = true;  // OpenAI's default
  for (const Member& member : view.members) {
    const std::size_t length = member.value.end - member.value.begin;
    const MemberValue value{member.name, body.substr(member.value.begin, length), member.value.begin};
    if (auto fault = read_member(value, view)) return fault;
    read_user(value, view);
    if (view.api == Api::responses) read_responses_state(value, view, stores);
  }
  if (view.api == Api::responses) view.has_side_effects |= stores;
  return {};
}

}  // namespace weir::protocol
