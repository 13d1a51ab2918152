#include "protocol/answer_beginning.hpp"

#include <utility>

#include "protocol/json_scan.hpp"

namespace weir::protocol {
namespace {

// Takes one token after another off the front.
class Front {
 public:
  explicit Front(std::string_view text) : text_(text) {}

  bool take(std::string_view token) {
    skip_space();
    if (!text_.starts_with(token)) return false;
    text_.remove_prefix(token.size());
    return true;
  }
  // The text ends here, or inside this token.
  bool ends_within(std::string_view token) {
    skip_space();
    return text_.size() < token.size() && token.starts_with(text_);
  }

 private:
  void skip_space() {
    while (!text_.empty() && json::is_space(text_.front())) text_.remove_prefix(1);
  }
  std::string_view text_;
};

// null, false and what is empty are how some say that there is none.
Beginning by_value(Front front) {
  for (const std::string_view nothing : {"null", "false", "\"\""}) {
    if (front.ends_within(nothing)) return Beginning::unknown;
    if (front.take(nothing)) return Beginning::answer;
  }
  for (const auto& [open, close] : {std::pair("{", "}"), std::pair("[", "]")}) {
    if (!front.take(open)) continue;
    if (front.ends_within(close)) return Beginning::unknown;
    return front.take(close) ? Beginning::answer : Beginning::error;
  }
  return Beginning::error;
}

}  // namespace

Beginning beginning_of(std::string_view json) {
  Front front(json);
  if (front.ends_within("{")) return Beginning::unknown;
  if (!front.take("{")) return Beginning::answer;
  for (const std::string_view key : {"\"error\"", "\"type\"", "\"object\""}) {
    if (front.ends_within(key)) return Beginning::unknown;
    if (!front.take(key)) continue;
    if (front.ends_within(":")) return Beginning::unknown;
    if (!front.take(":")) return Beginning::answer;
    if (key == "\"error\"") return by_value(front);
    if (front.ends_within("\"error\"")) return Beginning::unknown;
    return front.take("\"error\"") ? Beginning::error : Beginning::answer;
  }
  return Beginning::answer;
}

}  // namespace weir::protocol
