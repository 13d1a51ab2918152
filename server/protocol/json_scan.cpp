#include "protocol/json_scan.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "protocol/ascii.hpp"

namespace weir::protocol::json {
namespace {

// Four hex digits at `at`, or -1.
int hex4(std::string_view text, std::size_t at) {
  if (text.size() < at + 4) return -1;
  int value = 0;
  for (std::size_t i = at; i < at + 4; ++i) {
    const int digit = hex_value(text[i]);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

// Length of the escape that begins with the backslash at `at`; 0: it is none.
std::size_t escape_length(std::string_view text, std::size_t at) {
  if (at + 1 >= text.size()) return 0;
  if (text[at + 1] == 'u') return hex4(text, at + 2) < 0 ? 0 : 6;
  return std::strchr("\"\\/bfnrt", text[at + 1]) != nullptr && text[at + 1] != '\0' ? 2 : 0;
}

std::size_t number_length(std::string_view text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t first = at;
    while (at < text.size() && is_digit(text[at])) ++at;
    return at > first;
  };
  if (at < text.size() && text[at] == '-') ++at;
  if (at < text.size() && text[at] == '0') {
    ++at;
  } else if (!digits()) {
    return 0;
  }
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (!digits()) return 0;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (!digits()) return 0;
  }
  return at;
}

// A pushdown automaton written out: the open brackets are a vector, what may come next is a word.
class Scanner {
 public:
  Scanner(std::string_view text, std::size_t depth_max) : text_(text), depth_max_(depth_max) {}

  std::optional<Fault> run() {
    if (text_.starts_with("\xEF\xBB\xBF"))
      return fault("the body begins with a byte order mark: send UTF-8 without one");
    skip_space();
    if (done()) return fault("the body is empty");
    if (text_[at_] != '{') return fault("expected a JSON object");
    if (auto bad = open()) return bad;
    while (!open_.empty()) {
      if (auto bad = step()) return bad;
    }
    skip_space();
    if (!done()) return fault("unexpected bytes after the JSON object");
    return std::nullopt;
  }

 private:
  enum class Next { first_key, key, first_value, value, comma };

  bool done() const { return at_ >= text_.size(); }
  void skip_space() {
    while (!done() && is_space(text_[at_])) ++at_;
  }
  std::optional<Fault> fault(const char* reason) const { return Fault{at_, reason, {}}; }

  std::optional<Fault> open() {
    if (open_.size() >= depth_max_) return Fault{at_, "nested too deeply", member_};
    open_.push_back(text_[at_]);
    next_ = text_[at_] == '{' ? Next::first_key : Next::first_value;
    ++at_;
    return std::nullopt;
  }
  void close() {
    open_.pop_back();
    next_ = Next::comma;
    ++at_;
  }

  std::optional<Fault> step() {
    skip_space();
    if (done()) return fault("the body ends inside an object or array");
    const char c = text_[at_];
    const bool in_object = open_.back() == '{';
    switch (next_) {
      case Next::first_key:
      case Next::key:
        if (c == '}' && next_ == Next::first_key) return close(), std::nullopt;
        if (c != '"')
          return fault(next_ == Next::key ? "expected a member name in quotes after ','"
                                          : "expected a member name in quotes or '}'");
        return member_name();
      case Next::first_value:
        if (c == ']') return close(), std::nullopt;
        return value();
      case Next::value:
        return value();
      case Next::comma:
        if (c == (in_object ? '}' : ']')) return close(), std::nullopt;
        if (c != ',')
          return fault(in_object ? "expected ',' or '}' after a member" : "expected ',' or ']' after a value");
        ++at_;
        next_ = in_object ? Next::key : Next::value;
        return std::nullopt;
    }
    return std::nullopt;
  }

  std::optional<Fault> member_name() {
    const std::size_t begin = at_ + 1;
    if (auto bad = string()) return bad;
    if (open_.size() == 1) member_ = unescape(text_.substr(begin, at_ - 1 - begin));
    skip_space();
    if (done() || text_[at_] != ':') return fault("expected ':' after a member name");
    ++at_;
    next_ = Next::value;
    return std::nullopt;
  }

  std::optional<Fault> value() {
    const char c = text_[at_];
    if (c == '{' || c == '[') return open();
    next_ = Next::comma;
    if (c == '"') return string();
    if (c == '-' || is_digit(c)) {
      const std::size_t length = number_length(text_.substr(at_));
      const std::string_view rest = text_.substr(at_ + length);
      const bool ends = rest.empty() || std::string_view(" \t\r\n,]}").find(rest.front()) != std::string_view::npos;
      if (length == 0 || !ends) return fault("not a JSON number");
      at_ += length;
      return std::nullopt;
    }
    for (const std::string_view word : {"true", "false", "null"}) {
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return std::nullopt;
      }
    }
    return fault("expected a JSON value");
  }

  std::optional<Fault> string() {
    const std::size_t begin = at_++;
    while (!done()) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') {
        ++at_;
        return std::nullopt;
      }
      if (c < 0x20) return fault("a control character inside a string must be escaped");
      if (c < 0x80 && c != '\\') {
        ++at_;
        continue;
      }
      const std::size_t length = c == '\\' ? escape_length(text_, at_) : utf8_length(text_, at_);
      if (length == 0) return fault(c == '\\' ? "not a JSON escape" : "not valid UTF-8");
      at_ += length;
    }
    at_ = begin;
    return fault("a string is not closed");
  }

  std::string_view text_;
  std::size_t depth_max_;
  std::size_t at_ = 0;
  std::vector<char> open_;
  Next next_ = Next::first_key;
  std::string member_;
};

void append_utf8(std::string& out, std::uint32_t point) {
  const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0 | point >> 6);
    put(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    put(0xE0 | point >> 12);
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  } else {
    put(0xF0 | point >> 18);
    put(0x80 | (point >> 12 & 0x3F));
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  }
}

char simple_escape(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return c;
  }
}

}  // namespace

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  return text;
}

std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u; };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return continues(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (!continues(1) || !continues(2)) return 0;
    if (lead == 0xE0 && byte(1) < 0xA0) return 0;
    if (lead == 0xED && byte(1) > 0x9F) return 0;
    return 3;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    if (lead == 0xF0 && byte(1) < 0x90) return 0;
    if (lead == 0xF4 && byte(1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

std::optional<Fault> find_fault(std::string_view document, std::size_t depth_max) {
  return Scanner(document, depth_max).run();
}

bool is_cut(std::string_view document) {
  document = trim(document);
  if (!document.starts_with('{') && !document.starts_with('[')) return false;
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t at = 0; at < document.size(); ++at) {
    const char c = document[at];
    if (in_string) {
      if (c == '\\') ++at;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return in_string || depth > 0;
}

bool is_scalar(std::string_view token) {
  if (token.empty()) return false;
  if (token[0] == '-' || is_digit(token[0])) return number_length(token) == token.size();
  return token == "true" || token == "false" || token == "null";
}

std::size_t find_bad_escape(std::string_view inside) {
  for (std::size_t at = inside.find('\\'); at != std::string_view::npos; at = inside.find('\\', at)) {
    const std::size_t length = escape_length(inside, at);
    if (length == 0) return at;
    at += length;
  }
  return std::string_view::npos;
}

std::string unescape(std::string_view inside) {
  std::string out;
  out.reserve(inside.size());
  for (std::size_t at = 0; at < inside.size();) {
    const std::size_t plain_end = std::min(inside.find('\\', at), inside.size());
    out.append(inside, at, plain_end - at);
    at = plain_end;
    if (at + 1 >= inside.size()) break;
    if (inside[at + 1] != 'u') {
      out.push_back(simple_escape(inside[at + 1]));
      at += 2;
      continue;
    }
    int high = hex4(inside, at + 2);
    at += 6;
    if (high >= 0xD800 && high < 0xDC00 && inside.substr(at).starts_with("\\u")) {
      const int low = hex4(inside, at + 2);
      if (low >= 0xDC00 && low < 0xE000) {
        high = 0x10000 + (high - 0xD800) * 0x400 + (low - 0xDC00);
        at += 6;
      }
    }
    append_utf8(out, static_cast<std::uint32_t>(high < 0 ? 0xFFFD : high));
  }
  return out;
}

Members::Members(std::string_view object) : object_(object) {}

bool Members::next() {
  // Ends of strings and of nested values are found by counting brackets: the text is known to be valid.
  const auto string_end = [&](std::size_t at) {
    for (++at; at < object_.size() && object_[at] != '"'; ++at) {
      if (object_[at] == '\\') ++at;
    }
    return at + 1;
  };
  while (position_ < object_.size() && (is_space(object_[position_]) || object_[position_] == ',')) ++position_;
  if (position_ >= object_.size() || object_[position_] != '"') return false;
  const std::size_t key_end = string_end(position_);
  if (key_end > object_.size()) return false;
  key_ = object_.substr(position_, key_end - position_);
  const std::size_t begin = object_.find(':', key_end);
  if (begin == std::string_view::npos) return false;
  std::size_t at = begin + 1;
  int depth = 0;
  while (at < object_.size()) {
    const char c = object_[at];
    if (c == '"') {
      at = string_end(at);
      continue;
    }
    if (depth == 0 && (c == ',' || c == '}')) break;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    ++at;
  }
  if (at > object_.size()) return false;
  value_ = trim(object_.substr(begin + 1, at - begin - 1));
  position_ = at;
  return true;
}

}  // namespace weir::protocol::json
