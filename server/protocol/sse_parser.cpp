#include "protocol/sse_parser.hpp"

#include <algorithm>
#include <cstring>

namespace weir::protocol {
namespace {

constexpr std::size_t kept_event_max =
    64 * 1024;  // a rare large event must not cost its stream a large buffer for ever
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

std::size_t find_byte(std::string_view text, std::size_t from, char byte) {
  const void* const found = std::memchr(text.data() + from, byte, text.size() - from);
  return found == nullptr ? text.size() : static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

// Is `line` the field `name`? Then `value` is what follows the colon and one space.
bool is_field(std::string_view line, std::string_view name, std::string_view& value) {
  if (!line.starts_with(name)) return false;
  value = line.substr(name.size());
  if (value.empty()) return true;
  if (value.front() != ':') return false;
  value.remove_prefix(value.size() > 1 && value[1] == ' ' ? 2 : 1);
  return true;
}

}  // namespace

void SseParser::feed(std::string_view bytes) {
  input_ = bytes;
  position_ = 0;
  if (bytes.empty()) return;
  next_lf_ = find_byte(bytes, 0, '\n');
  next_cr_ = find_byte(bytes, 0, '\r');
}

bool SseParser::next(SseItem& item) {
  drop_emitted();
  if (bom_seen_ < byte_order_mark.size()) skip_byte_order_mark();
  while (position_ < input_.size()) {
    if (after_cr_) {
      after_cr_ = false;
      if (input_[position_] == '\n') {
        ++position_;
        continue;
      }
    }
    const bool ready = oversize_ ? next_fragment(item) : buffering_ ? next_buffered(item) : next_in_input(item);
    if (ready) return true;
  }
  return false;
}

bool SseParser::finish(SseItem& item) {
  drop_emitted();
  const bool close_line = in_line_ && !in_comment_;
  in_line_ = in_comment_ = false;
  if (oversize_) {
    oversize_ = false;
    return fragment(item, close_line ? "\n\n" : "\n", false, true);
  }
  if (close_line) buffer_ += '\n';
  if (buffer_.empty()) return false;
  buffer_ += '\n';
  return complete(item, buffer_, false);
}

void SseParser::drop_emitted() {
  if (!emitted_buffer_) return;
  buffer_.clear();
  if (buffer_.capacity() > kept_event_max) buffer_.shrink_to_fit();
  emitted_buffer_ = false;
}

// The mark may be split over feeds. Bytes that only looked like its beginning are the beginning of the first line.
void SseParser::skip_byte_order_mark() {
  while (bom_seen_ < byte_order_mark.size() && position_ < input_.size()) {
    if (input_[position_] == byte_order_mark[bom_seen_]) {
      ++bom_seen_;
      ++position_;
      continue;
    }
    if (bom_seen_ > 0) {
      buffer_ = byte_order_mark.substr(0, bom_seen_);
      buffering_ = in_line_ = true;
    }
    bom_seen_ = static_cast<unsigned>(byte_order_mark.size());
  }
}

// Each of the two positions is looked for again only when it was passed: the input is read twice, whatever its line
// ends.
std::size_t SseParser::find_line_end() {
  if (next_lf_ < position_) next_lf_ = find_byte(input_, position_, '\n');
  if (next_cr_ < position_) next_cr_ = find_byte(input_, position_, '\r');
  const std::size_t end = std::min(next_lf_, next_cr_);
  return end < input_.size() ? end : std::string_view::npos;
}

void SseParser::pass_line_end(std::size_t at) {
  position_ = at + 1;
  if (input_[at] == '\n') return;
  if (position_ == input_.size()) {
    after_cr_ = true;
  } else if (input_[position_] == '\n') {
    ++position_;
  }
}

// REQUIRES: position_ is at the first byte of a line that is not empty.
void SseParser::start_line() {
  in_line_ = true;
  in_comment_ = input_[position_] == ':';
  if (in_comment_) ++comments_;
}

void SseParser::move_to_buffer(std::size_t event_begin, std::size_t end) {
  buffer_.append(input_, event_begin, end - event_begin);
  buffering_ = true;
}

// The fast way: between events, nothing in the buffer. Stops at the first line that cannot cross as it stands.
bool SseParser::next_in_input(SseItem& item) {
  std::size_t begin = position_;
  for (;;) {
    const std::size_t end = find_line_end();
    if (end == std::string_view::npos) {
      keep_rest(begin);
      return overflow(item);
    }
    const bool is_lf = input_[end] == '\n';
    if (end == position_) {
      if (begin == position_) {
        pass_line_end(end);
        return false;
      }
      pass_line_end(end);
      if (is_lf) return complete(item, input_.substr(begin, end + 1 - begin), true);
      move_to_buffer(begin, end);
      buffer_ += '\n';
      return complete(item, buffer_, false);
    }
    if (input_[position_] == ':') {
      ++comments_;
      const std::size_t comment = position_;
      pass_line_end(end);
      if (begin == comment) {
        begin = position_;
        continue;
      }
      move_to_buffer(begin, comment);
      return overflow(item);
    }
    pass_line_end(end);
    if (!is_lf) {
      move_to_buffer(begin, end);
      buffer_ += '\n';
      return overflow(item);
    }
  }
}

// The input ends inside an event, whose last, unfinished line begins at position_.
void SseParser::keep_rest(std::size_t event_begin) {
  const std::size_t line_begin = position_;
  if (line_begin < input_.size()) start_line();
  const std::size_t end = in_comment_ ? line_begin : input_.size();
  if (end > event_begin || in_line_) move_to_buffer(event_begin, end);
  position_ = input_.size();
}

bool SseParser::next_buffered(SseItem& item) {
  const std::size_t end = find_line_end();
  if (!in_line_) {
    if (end == position_) {
      pass_line_end(end);
      buffer_ += '\n';
      return complete(item, buffer_, false);
    }
    start_line();
  }
  const std::size_t stop = std::min(end, input_.size());
  if (!in_comment_) buffer_.append(input_, position_, stop - position_);
  if (end == std::string_view::npos) {
    position_ = input_.size();
    return overflow(item);
  }
  if (!in_comment_) buffer_ += '\n';
  in_line_ = in_comment_ = false;
  pass_line_end(end);
  if (buffer_.empty()) buffering_ = false;
  return overflow(item);
}

bool SseParser::next_fragment(SseItem& item) {
  const std::size_t end = find_line_end();
  if (!in_line_) {
    if (end == position_) {
      pass_line_end(end);
      oversize_ = false;
      return fragment(item, "\n", false, true);
    }
    start_line();
  }
  const std::size_t begin = position_;
  const bool dropped = in_comment_;
  if (end == std::string_view::npos) {
    position_ = input_.size();
    return !dropped && fragment(item, input_.substr(begin), true, false);
  }
  in_line_ = in_comment_ = false;
  pass_line_end(end);
  if (dropped) return false;
  if (input_[end] == '\n') return fragment(item, input_.substr(begin, end + 1 - begin), true, false);
  buffer_.assign(input_, begin, end - begin);
  buffer_ += '\n';
  emitted_buffer_ = true;
  return fragment(item, buffer_, false, false);
}

// Has the event in the buffer outgrown it? Then it goes out as it is, and the rest of it as it arrives.
bool SseParser::overflow(SseItem& item) {
  if (buffer_.size() <= event_bytes_max_) return false;
  oversize_ = true;
  buffering_ = false;
  emitted_buffer_ = true;
  fragment(item, buffer_, false, false);
  item.first = true;
  item.name = name_on_first_line(buffer_);
  return true;
}

bool SseParser::complete(SseItem& item, std::string_view text, bool in_input) {
  buffering_ = false;
  if (!in_input) emitted_buffer_ = true;
  // An event is too large by its size alone, never by the way it was split: the facts drawn from it must not differ.
  if (text.size() - 1 > event_bytes_max_) {
    fragment(item, text, in_input, true);
    item.first = true;
    item.name = name_on_first_line(text);
    return true;
  }
  item.kind = SseItem::Kind::event;
  item.text = text;
  item.in_input = in_input;
  item.first = item.last = true;
  return true;
}

bool SseParser::fragment(SseItem& item, std::string_view text, bool in_input, bool last) {
  item = SseItem();
  item.kind = SseItem::Kind::fragment;
  item.text = text;
  item.in_input = in_input;
  item.first = false;
  item.last = last;
  return true;
}

void SseParser::read_fields(SseItem& item) {
  item.name = item.data = {};
  item.has_data = false;
  for (std::size_t begin = 0, end = 0; begin < item.text.size(); begin = end + 1) {
    end = find_byte(item.text, begin, '\n');
    const std::string_view line = item.text.substr(begin, end - begin);
    std::string_view value;
    if (is_field(line, "event", value)) {
      item.name = value;
    } else if (is_field(line, "data", value)) {
      if (!item.has_data) {
        item.data = value;
      } else {
        if (item.data.data() != joined_.data()) joined_ = item.data;
        joined_ += '\n';
        joined_ += value;
        item.data = joined_;
      }
      item.has_data = true;
    }
  }
}

std::string_view SseParser::name_on_first_line(std::string_view text) const {
  const std::size_t end = text.find('\n');
  std::string_view value;
  const bool known = end < event_bytes_max_ && is_field(text.substr(0, end), "event", value);
  return known ? value : std::string_view();
}

}  // namespace weir::protocol
