// Lines of a log that wait to be written, one behind the other in one stretch of memory that is used again and again.
// Beyond lines_max the oldest go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::observe {

class LineBatch {
 public:
  explicit LineBatch(std::size_t lines_max) : lines_max_(lines_max) {}

  bool empty() const { return first_ == lengths_.size(); }
  std::string_view bytes() const { return std::string_view(bytes_).substr(begin_); }
  std::size_t dropped() const { return dropped_; }        // before the first line
  std::size_t room() const { return bytes_.capacity(); }  // bytes of memory behind it

  void append(std::string_view line) {
    if (lengths_.size() - first_ >= lines_max_) drop_oldest();
    bytes_ += line;
    lengths_.push_back(static_cast<std::uint32_t>(line.size()));
  }

  // For the next lines; what a burst took is given back.
  void clear() {
    if (bytes_.capacity() > kept_bytes_max) std::string().swap(bytes_);
    bytes_.clear();
    lengths_.clear();
    begin_ = first_ = dropped_ = 0;
  }

 private:
  static constexpr std::size_t kept_bytes_max = 64 * 1024;

  void drop_oldest() {
    begin_ += lengths_[first_++];
    ++dropped_;
    // The room of dropped lines is taken back when it has grown to that of the others.
    if (first_ < lines_max_) return;
    bytes_.erase(0, begin_);
    lengths_.erase(lengths_.begin(), lengths_.begin() + static_cast<std::ptrdiff_t>(first_));
    begin_ = first_ = 0;
  }

  std::size_t lines_max_;
  std::string bytes_;
  std::vector<std::uint32_t> lengths_;  // of every line in bytes_
  std::size_t begin_ = 0, first_ = 0;   // of the first line that was not dropped, in bytes_ and in lengths_
  std::size_t dropped_ = 0;
};

}  // namespace weir::observe
