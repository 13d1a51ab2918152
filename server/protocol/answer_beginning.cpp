#include "protocol/answer_beginning.hpp"

#include <algorithm>
#include <initializer_list>

#include "protocol/json_scan.hpp"

namespace weir::protocol {
namespace {

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), text) != names.end();
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
  if (value.ended && is_one_of(text, {"null", "false", "\"\""})) return Beginning::answer;
  if (!text.starts_with('{') && !text.starts_with('[')) {
    const bool begins_a_text = text.size() > 1 && text.front() == '"';
    return value.ended || begins_a_text ? Beginning::error : Beginning::unknown;
  }
  const std::string_view inside = json::trim(text.substr(1));
  if (inside.empty()) return Beginning::unknown;
  return is_one_of(inside.substr(0, 1), {"}", "]"}) ? Beginning::answer : Beginning::error;
}

// Takes one token after another off the front of a text that may break off anywhere.
class Front {
 public:
  explicit Front(std::string_view text) : text_(text) { skip_space(); }

  bool over() const { return text_.empty(); }
  bool take(char token) {
    if (!text_.starts_with(token)) return false;
    text_.remove_prefix(1);
    skip_space();
    return true;
  }
  Value take_value() {
    const bool nests = text_.starts_with('{') || text_.starts_with('[');
    const std::size_t size = nests ? size_of_nest() : text_.starts_with('"') ? size_of_string(0) : size_of_scalar();
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
    for (++at; (at = text_.find_first_of("\\\"", at)) != unended; at += 2) {
      if (text_[at] == '"') return at + 1;
    }
    return unended;
  }
  std::size_t size_of_nest() const {
    std::size_t depth = 0;
    for (std::size_t at = 0; (at = text_.find_first_of("\"{}[]", at)) != unended;) {
      if (text_[at] == '"') {
        at = size_of_string(at);
        if (at == unended) break;
        continue;
      }
      const bool opens = text_[at] == '{' || text_[at] == '[';
      depth = opens ? depth + 1 : depth - 1;
      ++at;
      if (depth == 0) return at;
    }
    return unended;
  }
  // It ends with what stands behind it.
  std::size_t size_of_scalar() const { return text_.find_first_of(",]} \n\r\t"); }

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
    value_ = front_.take_value();
    return true;
  }
  // With its quotes.
  std::string_view key() const { return key_; }
  const Value& value() const { return value_; }

 private:
  Front& front_;
  bool first_ = true;
  std::string_view key_;
  Value value_;
};

// The end of an object is no error, but that of one that is cut or broken.
Beginning at_end(Front& front, bool flat_error) {
  if (front.take('}')) return flat_error ? Beginning::error : Beginning::answer;
  return front.over() ? Beginning::unknown : Beginning::answer;
}

bool has_content(const Value& message) {
  Front front(message.text);
  if (!front.take('{')) return false;
  for (Members members(front); members.next();) {
    if (members.key() != "\"role\"" && says_something(members.value()) == Beginning::error) return true;
  }
  return false;
}

// OpenRouter tells it so when the model fails after the work has begun. `choices`: an array.
bool first_choice_failed(const Value& choices) {
  Front front(choices.text);
  bool failed = false;
  if (!front.take('[') || !front.take('{')) return false;
  for (Members members(front); members.next();) {
    const Value& value = members.value();
    if (!value.ended) return false;
    if (members.key() == "\"error\"") failed = says_something(value) == Beginning::error;
    if (members.key() == "\"message\"" && has_content(value)) return false;
    if (members.key() == "\"text\"" && says_something(value) == Beginning::error) return false;
  }
  return failed && front.take('}');
}

// What one member tells; unknown: nothing, or not yet.
Beginning by_member(std::string_view key, const Value& value) {
  if (key == "\"error\"") {
    return says_something(value) == Beginning::error ? Beginning::error : Beginning::unknown;
  }
  if (is_one_of(key, {"\"type\"", "\"object\""})) {
    if (value.is("\"error\"")) return Beginning::error;
    return value.is("\"response\"") || value.is("\"message\"") ? Beginning::answer : Beginning::unknown;
  }
  if (!is_one_of(key, {"\"choices\"", "\"content\"", "\"data\"", "\"output\""})) return Beginning::unknown;
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
    const Beginning told = by_member(members.key(), members.value());
    if (told != Beginning::unknown) return told;
    if (!members.value().ended) return Beginning::unknown;
    if (!is_looked_through(api)) return Beginning::answer;
    const std::string_view text = members.value().text;
    flat_error |= members.key() == "\"message\"" && text.starts_with('"') && text != "\"\"";
  }
  return at_end(front, flat_error);
}

}  // namespace

Beginning beginning_of(std::string_view json, Api api) {
  constexpr std::string_view bom = "\xEF\xBB\xBF";
  if (json.starts_with(bom)) json.remove_prefix(bom.size());
  if (bom.starts_with(json)) return Beginning::unknown;
  Front front(json);
  if (front.take('[') && !is_looked_through(api)) return Beginning::answer;
  if (front.over()) return Beginning::unknown;
  return front.take('{') ? of_object(front, api) : Beginning::answer;
}

}  // namespace weir::protocol
