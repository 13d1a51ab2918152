#include "proxy/loggable_words.hpp"

#include <algorithm>

#include "protocol/ascii.hpp"

namespace weir::proxy {
namespace {

using protocol::is_digit;

constexpr std::size_t words_max = 200;
constexpr std::string_view mask = "***";
// Keys have a long run of letters and digits mixed; names of models and dates have not.
constexpr std::size_t run_min = 12;

bool is_key_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' || c == '_' || c == '*';
}

bool looks_like_a_key(std::string_view word) {
  if (word.starts_with("sk-")) return true;
  std::size_t run = 0, digits = 0;
  for (const char c : word) {
    const bool joins = c == '-' || c == '_' || c == '*';
    run = joins ? 0 : run + 1;
    digits = joins ? 0 : digits + (is_digit(c) ? 1 : 0);
    if (run >= run_min && digits >= 2 && run - digits >= 2) return true;
  }
  return false;
}

void hide(std::string& text, std::string_view secret) {
  if (secret.size() < 4) return;
  for (std::size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at + mask.size()))
    text.replace(at, secret.size(), mask);
}

void hide_keys(std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto begin = text.begin() + static_cast<std::ptrdiff_t>(at);
    const auto end = std::find_if_not(begin, text.end(), is_key_char);
    const std::size_t length = static_cast<std::size_t>(end - begin);
    if (length == 0) {
      ++at;
    } else if (looks_like_a_key(std::string_view(text).substr(at, length))) {
      text.replace(at, length, mask);
      at += mask.size();
    } else {
      at += length;
    }
  }
}

// Of a type or a code, which are words of the provider: what has another shape is none.
bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_key_char(c) || c == '.'; }) &&
         !looks_like_a_key(text);
}

// A template that could not be filled in, a text that a server choked on. To the last quote of its kind: an apostrophe
// may stand in between. A single word is a model's name or a parameter's.
void hide_quotations(std::string& text) {
  for (std::size_t at = 0; (at = text.find_first_of("'\"`", at)) != std::string::npos; ++at) {
    if (at > 0 && is_key_char(text[at - 1])) continue;  // an apostrophe
    const std::size_t last = text.rfind(text[at]);
    const std::size_t length = (last == at ? text.size() : last) - at - 1;
    if (!is_word(std::string_view(text).substr(at + 1, length))) text.replace(at + 1, length, mask);
    at = text.find(text[at], at + 1);
    if (at == std::string::npos) return;
  }
}

std::string type_and_code(const protocol::UpstreamError& error, int status) {
  std::string words = "The upstream answered " + std::to_string(status);
  const bool type = is_word(error.type), code = is_word(error.code) && error.code != error.type;
  if (type || code) words += ": ";
  if (type) words += error.type;
  if (type && code) words += ", ";
  if (code) words += error.code;
  return words + ".";
}

}  // namespace

std::string loggable_word(const std::string& type_or_code) {
  return is_word(type_or_code) ? type_or_code : std::string();
}

std::string loggable_words(const protocol::UpstreamError& error, Cause cause, int status,
                           std::span<const std::string_view> secrets) {
  if (cause == Cause::caller || error.message.empty()) return type_and_code(error, status);
  std::string words = error.message;
  for (const std::string_view secret : secrets) hide(words, secret);
  hide_keys(words);
  if (cause == Cause::fault) hide_quotations(words);
  if (words.size() > words_max) words.resize(words_max);
  return words;
}

}  // namespace weir::proxy
