// A slow JSON validator, written from the grammar of RFC 8259 rule by rule, to hold the real reader against. Also says
// which members the top-level object has. Used by tests and by the fuzz target.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::protocol::reference {

class Json {
 public:
  explicit Json(std::string_view text, std::size_t depth_max = 256) : text_(text), depth_max_(depth_max) {
    space();
    valid_ = at_ < text_.size() && text_[at_] == '{' && object(1);
    space();
    valid_ = valid_ && at_ == text_.size();
  }

  bool valid() const { return valid_; }
  // Keys as written, without quotes, and values; in order.
  const std::vector<std::pair<std::string, std::string>>& members() const { return members_; }

 private:
  bool eat(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  void space() {
    while (eat(" ") || eat("\t") || eat("\n") || eat("\r")) {
    }
  }
  bool value(std::size_t depth) {
    if (at_ >= text_.size()) return false;
    if (text_[at_] == '{') return object(depth);
    if (text_[at_] == '[') return array(depth);
    if (text_[at_] == '"') return string();
    return eat("true") || eat("false") || eat("null") || number();
  }
  bool object(std::size_t depth) {
    if (depth > depth_max_ || !eat("{")) return false;
    space();
    if (eat("}")) return true;
    do {
      space();
      const std::size_t key = at_ + 1;
      if (!string()) return false;
      const std::string name(text_.substr(key, at_ - 1 - key));
      space();
      if (!eat(":")) return false;
      space();
      const std::size_t begin = at_;
      if (!value(depth + 1)) return false;
      if (depth == 1) members_.emplace_back(name, text_.substr(begin, at_ - begin));
      space();
    } while (eat(","));
    return eat("}");
  }
  bool array(std::size_t depth) {
    if (depth > depth_max_ || !eat("[")) return false;
    space();
    if (eat("]")) return true;
    do {
      space();
      if (!value(depth + 1)) return false;
      space();
    } while (eat(","));
    return eat("]");
  }
  bool digits() {
    const std::size_t first = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    return at_ > first;
  }
  bool number() {
    eat("-");
    if (!eat("0") && !digits()) return false;
    if (eat(".") && !digits()) return false;
    if (eat("e") || eat("E")) {
      if (!eat("+")) eat("-");
      if (!digits()) return false;
    }
    return true;
  }
  bool string() {
    if (!eat("\"")) return false;
    while (at_ < text_.size()) {
      if (eat("\"")) return true;
      if (eat("\\")) {
        if (!escape()) return false;
      } else if (!character()) {
        return false;
      }
    }
    return false;
  }
  bool escape() {
    for (const char c : std::string_view("\"\\/bfnrt")) {
      if (eat(std::string_view(&c, 1))) return true;
    }
    if (!eat("u")) return false;
    for (int i = 0; i < 4; ++i, ++at_) {
      if (at_ >= text_.size()) return false;
      if (std::string_view("0123456789abcdefABCDEF").find(text_[at_]) == std::string_view::npos) return false;
    }
    return true;
  }
  // One character that is no control character, as UTF-8: decoded, then asked whether this was its shortest form.
  bool character() {
    const auto lead = static_cast<unsigned char>(text_[at_]);
    if (lead < 0x20) return false;
    std::size_t length = 1;
    std::uint32_t point = lead;
    if (lead >= 0xF8 || (lead >= 0x80 && lead < 0xC0)) return false;
    if (lead >= 0xC0) {
      length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
      point = lead & (0x7Fu >> length);
    }
    if (at_ + length > text_.size()) return false;
    for (std::size_t i = 1; i < length; ++i) {
      const auto next = static_cast<unsigned char>(text_[at_ + i]);
      if (next < 0x80 || next > 0xBF) return false;
      point = point << 6 | (next & 0x3Fu);
    }
    constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < least[length] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return false;
    at_ += length;
    return true;
  }

  std::string_view text_;
  std::size_t depth_max_;
  std::size_t at_ = 0;
  bool valid_ = false;
  std::vector<std::pair<std::string, std::string>> members_;
};

}  // namespace weir::protocol::reference
