#include "protocol/answer_beginning.hpp"

#include <algorithm>
#include <functional>

#include "protocol/json_scan.hpp"

namespace weir::protocol {
namespace {

template <typename... Names>
bool is_one_of(std::string_view text, const Names&... names) {
  return ((text == std::string_view(names)) || ...);
}

// A value, as far as it is there.
struct Value {
  std::string_view text;
  bool ended = false;

  bool is(std::string_view token) const { return ended && text == token; }
};

// Null, false and what is empty are how some say that there is none. Unknown: not enough of it is there; error: it says
// something.
Beginning says_something(const Value& value) {
  const std::string_view text = value.text;
  if (value.ended && is_one_of(text, "null", "false", "\"\"")) return Beginning::answer;
  if (!text.starts_with('{') && !text.starts_with('[')) {
    const bool begins_a_text = text.size() > 1 && text.front() == '"';
    return value.ended || begins_a_text ? Beginning::error : Beginning::unknown;
  }
  const std::string_view inside = json::trim(text.substr(1));
  if (inside.empty()) return Beginning::unknown;
  return is_one_of(inside.substr(0, 1), "}", "]") ? Beginning::answer : Beginning::error;
}

// Takes one token after another off the front of a text that may break off anywhere.
class Front {
 public:
  explicit Front(std::string_view text) : text_(text) { skip_space(); }

  bool over() const { return text_.empty(); }
  // All that is left, as a value that has not ended: what begins here.
  Value rest() const { return {text_, false}; }
  bool take(char token) {
    if (!text_.starts_with(token)) return false;
    text_.remove_prefix(1);
    skip_space();
    return true;
  }
  bool nests() const { return text_.starts_with('{') || text_.starts_with('['); }
  Value take_value() {
    const std::size_t size = nests() ? size_of_nest() : text_.starts_with('"') ? size_of_string(0) : size_of_scalar();
    const Value value{text_.substr(0, size), size <= text_.size()};
    text_.remove_prefix(value.text.size());
    skip_space();
    return value;
  }

 private:
  static constexpr std::size_t unended = std::string_view::npos;

  void skip_space() {
    while (!text_.empty() && json::is_space(text_.front())) text_.remove_prefix(1);
  }
  // Up to behind its closing quote.
  std::size_t size_of_string(std::size_t at) const {
    for (std::size_t quote = text_.find('"', at + 1); quote != unended; quote = text_.find('"', quote + 1)) {
      std::size_t escapes = 0;
      while (text_[quote - 1 - escapes] == '\\') ++escapes;
      if (escapes % 2 == 0) return quote + 1;
    }
    return unended;
  }
  std::size_t size_of_nest() const {
    std::size_t depth = 0;
    for (std::size_t at = 0; at < text_.size();) {
      const char c = text_[at];
      if (c == '"') {
        at = size_of_string(at);
        continue;
      }
      ++at;
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && --depth == 0) return at;
    }
    return unended;
  }
  // It ends with what stands behind it.
  std::size_t size_of_scalar() const {
    const auto end = std::find_if(text_.begin(), text_.end(),
                                  [](char c) { return c == ',' || c == ']' || c == '}' || json::is_space(c); });
    return end == text_.end() ? unended : static_cast<std::size_t>(end - text_.begin());
  }

  std::string_view text_;
};

// Goes on over the members of an object that may break off anywhere, after its brace has been taken.
class Members {
 public:
  explicit Members(Front& front) : front_(front) {}

  bool next() {
    if (front_.over() || (!first_ && !front_.take(','))) return false;
    first_ = false;
    const Value key = front_.take_value();
    if (!key.ended || !front_.take(':') || front_.over()) return false;
    key_ = key.text;
    return true;
  }
  // Once for each member.
  Value take_value() { return front_.take_value(); }
  // With its quotes.
  std::string_view key() const { return key_; }

 private:
  Front& front_;
  bool first_ = true;
  std::string_view key_;
};

constexpr std::string_view bom = "\xEF\xBB\xBF";

// The end of an object is no error, but that of one that is cut or broken.
Beginning at_end(Front& front, bool flat_error) {
  if (front.take('}')) return flat_error ? Beginning::error : Beginning::answer;
  return front.over() ? Beginning::unknown : Beginning::answer;
}

bool has_content(const Value& message) {
  Front front(message.text);
  if (!front.take('{')) return false;
  for (Members members(front); members.next();) {
    const Value value = members.take_value();
    if (members.key() != "\"role\"" && says_something(value) == Beginning::error) return true;
  }
  return false;
}

// Skips most of a text, where looking for the quote first would stop at every string.
constexpr std::string_view quoted_error = "\"error\"";
const std::boyer_moore_horspool_searcher error_name(quoted_error.begin(), quoted_error.end());

// OpenRouter tells it so when the model fails after the work has begun. `choices`: an array, and what follows.
bool first_choice_failed(const Value& choices) {
  if (std::search(choices.text.begin(), choices.text.end(), error_name) == choices.text.end()) return false;
  Front front(choices.text);
  bool failed = false;
  if (!front.take('[') || !front.take('{')) return false;
  for (Members members(front); members.next();) {
    const Value value = members.take_value();
    if (!value.ended) return false;
    if (members.key() == "\"error\"") failed = says_something(value) == Beginning::error;
    if (members.key() == "\"message\"" && has_content(value)) return false;
    if (members.key() == "\"text\"" && says_something(value) == Beginning::error) return false;
  }
  return failed && front.take('}');
}

bool is_of_answers(std::string_view key) {
  return is_one_of(key, "\"choices\"", "\"content\"", "\"data\"", "\"output\"");
}

// What one member tells; unknown: nothing, or not yet.
Beginning by_member(std::string_view key, const Value& value) {
  if (key == "\"error\"") {
    return says_something(value) == Beginning::error ? Beginning::error : Beginning::unknown;
  }
  if (is_one_of(key, "\"type\"", "\"object\"")) {
    if (value.is("\"error\"")) return Beginning::error;
    return value.is("\"response\"") || value.is("\"message\"") ? Beginning::answer : Beginning::unknown;
  }
  if (!is_of_answers(key)) return Beginning::unknown;
  if (says_something(value) != Beginning::error) return Beginning::unknown;
  return key == "\"choices\"" && first_choice_failed(value) ? Beginning::error : Beginning::answer;
}

// Errors of these have none of an answer's members. Their other answers may be about errors.
bool is_looked_through(Api api) {
  return api != Api::other && api != Api::models;
}

Beginning of_object(Front& front, Api api) {
  bool flat_error = false;
  for (Members members(front); members.next();) {
    // Nearly every answer ends the search with the first bytes of its content, however long that is.
    if (is_of_answers(members.key()) && front.nests()) {
      const Beginning told = by_member(members.key(), front.rest());
      if (told != Beginning::unknown) return told;
    }
    const Value value = members.take_value();
    const Beginning told = by_member(members.key(), value);
    if (told != Beginning::unknown) return told;
    if (!value.ended) return Beginning::unknown;
    if (!is_looked_through(api)) return Beginning::answer;
    flat_error |= members.key() == "\"message\"" && value.text.starts_with('"') && value.text != "\"\"";
  }
  return at_end(front, flat_error);
}

}  // namespace

bool is_web_page(std::string_view body) {
  if (body.starts_with(bom)) body.remove_prefix(bom.size());
  const auto first = body.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && body[first] == '<';
}

Beginning beginning_of(std::string_view json, Api api) {
  if (json.starts_with(bom)) json.remove_prefix(bom.size());
  if (bom.starts_with(json)) return Beginning::unknown;
  Front front(json);
  if (front.take('[') && !is_looked_through(api)) return Beginning::answer;
  if (front.over()) return Beginning::unknown;
  if (is_looked_through(api) && is_web_page(json)) return Beginning::error;
  return front.take('{') ? of_object(front, api) : Beginning::answer;
}

}  // namespace weir::protocol
