#include "observe/json_text.hpp"

#include <array>
#include <cstdio>

#include "observe/utf8.hpp"

namespace weir::observe {
namespace {

// Whether a character stands for itself in a JSON string.
constexpr std::array<bool, 256> make_plain() {
  std::array<bool, 256> plain{};
  for (std::size_t c = 0x20; c < 0x7f; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}
constexpr auto plain_characters = make_plain();

std::size_t plain_size(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size() && plain_characters[static_cast<unsigned char>(text[size])]) ++size;
  return size;
}

}  // namespace

bool is_plain_json(std::string_view text) {
  return plain_size(text) == text.size();
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    // Nearly all there is needs no look at each character.
    const std::size_t plain = plain_size(text);
    out.append(text, 0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const char c = text.front();
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      out += "\\ufffd";
    } else if (is_control(c)) {
      std::array<char, 8> escaped{};
      std::snprintf(escaped.data(), escaped.size(), "\\u%04x", static_cast<unsigned>(c));
      out += escaped.data();
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  out += '"';
}

void append_json_name(std::string& out, std::string_view name) {
  if (out.back() != '{') out += ',';
  append_json_string(out, name);
  out += ':';
}

}  // namespace weir::observe
