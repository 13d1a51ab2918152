// Writes a text of many short pieces, such as every request's heads and its line of the log. Unlike a string that is
// appended to, a piece costs little more than its copying: the room for it is made long before.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace weir::observe {

class TextWriter {
 public:
  // `expected`: how much will likely be written, so that it fits at once. Goes on behind `before`.
  explicit TextWriter(std::size_t expected, std::string before = {}) : text_(std::move(before)), size_(text_.size()) {
    text_.resize(std::max(text_.capacity(), size_ + expected));
  }

  // The end of it.
  std::string take() {
    text_.resize(size_);
    return std::move(text_);
  }

  TextWriter& operator<<(std::string_view piece) { return write(piece); }
  // Pieces in a row: room is looked for once.
  template <typename... Pieces>
  TextWriter& write(const Pieces&... pieces) {
    return write_views(std::string_view(pieces)...);
  }
  TextWriter& operator<<(char c) {
    *room(1) = c;
    ++size_;
    return *this;
  }
  TextWriter& operator<<(std::uint64_t value) {
    char* const at = room(digits_max);
    size_ += static_cast<std::size_t>(std::to_chars(at, at + digits_max, value).ptr - at);
    return *this;
  }
  // The last so many digits, zeros in front.
  TextWriter& digits(std::uint64_t value, std::size_t count) {
    char* const at = room(count);
    for (std::size_t i = count; i > 0; --i, value /= 10) at[i - 1] = static_cast<char>('0' + value % 10);
    size_ += count;
    return *this;
  }

  // Lets `append` write behind what stands there by the string's own means.
  template <typename Append>
  void with_string(Append append) {
    text_.resize(size_);
    append(text_);
    size_ = text_.size();
  }

 private:
  static constexpr std::size_t digits_max = 20;

  template <typename... Views>
  TextWriter& write_views(Views... views) {
    char* at = room((views.size() + ...));
    ((at = std::copy(views.begin(), views.end(), at)), ...);
    size_ = static_cast<std::size_t>(at - text_.data());
    return *this;
  }

  char* room(std::size_t bytes) {
    if (text_.size() - size_ < bytes) text_.resize(std::max(size_ + bytes, text_.capacity()));
    return text_.data() + size_;
  }

  std::string text_;
  std::size_t size_;  // of it that is written
};

}  // namespace weir::observe
