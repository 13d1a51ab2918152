#include "protocol/stream_filter.hpp"

#include <algorithm>

#include "protocol/error_body.hpp"
#include "protocol/event_facts.hpp"

namespace weir::protocol {
namespace {

constexpr std::size_t kept_output_max = 16 * 1024;  // of a stream's own buffer while it is slow

// An error told in a form that libraries take for a chunk like others, in the one that they raise.
std::string as_error_event(std::string_view data, Api api) {
  const UpstreamError told = read_error_body(data);
  ErrorAnswer answer;
  const bool messages = api == Api::messages;
  answer.type = told.type;
  if (told.type.empty() || (messages && told.type == "error")) answer.type = messages ? "api_error" : "server_error";
  answer.code = told.code;
  answer.message = told.message.empty() ? "The upstream failed and said no more." : told.message;
  answer.param = told.param;
  answer.more = told.more;
  return write_error_event(answer, api, {});
}

}  // namespace

StreamFilter::StreamFilter(const FilterOptions& options) : options_(options), parser_(options.event_bytes_max) {}

void StreamFilter::feed(std::string_view bytes, std::vector<std::string_view>& out) {
  pieces_.clear();
  rewritten_.clear();
  // A burst at the start must not cost a slow stream a large buffer for the rest of its life.
  if (rewritten_.capacity() > kept_output_max && bytes.size() < rewritten_.capacity() / 8) rewritten_.shrink_to_fit();
  input_ = bytes;
  parser_.feed(bytes);
  SseItem item;
  while (parser_.next(item)) take(item);
  flush(out);
}

void StreamFilter::finish(std::vector<std::string_view>& out) {
  pieces_.clear();
  rewritten_.clear();
  input_ = {};
  if (ended_ && !parser_.mid_event()) return;  // nothing belongs behind the last word, and half an event nowhere
  SseItem item;
  if (parser_.finish(item)) take(item);
  flush(out);
}

void StreamFilter::take(SseItem& item) {
  if (item.kind == SseItem::Kind::event) {
    take_event(item);
  } else {
    take_fragment(item);
  }
}

void StreamFilter::take_event(SseItem& item) {
  EventFacts facts;
  if (!memo_.recall(item.text, facts)) {
    parser_.read_fields(item);
    if (is_keepalive(item.name, item.has_data, item.data)) {
      ++absorbed_;
      return;
    }
    facts = read_event(item.name, item.data, options_.api);
    memo_.learn(item.text, item.data, facts);
    note(facts, item.data);
  }
  if (!facts.only_usage) unread_ = false;
  const HideUsage hide = options_.hide_usage;
  if (facts.only_usage && (hide == HideUsage::all || hide == HideUsage::total)) return;
  ++events_;
  if (facts.content) ++contents_;
  if (facts.flat_error) return push(as_error_event(item.data, options_.api), false);
  const bool told = facts.usage_members_count > 0;
  if (told && hide == HideUsage::all) {
    push_changed(item, std::span(facts.usage_members).first(facts.usage_members_count), {});
  } else if (told && hide == HideUsage::running && !facts.only_usage) {
    push_changed(item, std::span(facts.usage_values).first(facts.usage_members_count), "null");
  } else {
    push(item.text, item.in_input);
  }
}

// Nobody sends a megabyte of nothing: it counts as content, and only its name tells whether the stream ends with it.
void StreamFilter::take_fragment(const SseItem& item) {
  if (item.first) {
    ++events_;
    ++contents_;
    unread_ = true;
    if (item.name == "response.completed" || item.name == "response.incomplete") ended_ = true;
  }
  push(item.text, item.in_input);
}

void StreamFilter::note(const EventFacts& facts, std::string_view data) {
  ended_ |= facts.terminal;
  finished_ += facts.finishes;
  if (facts.error && error_event_.empty()) error_event_ = data;
  if (!facts.usage.any()) return;
  if (!told_) told_ = std::make_unique<Told>();
  if (options_.api == Api::messages) {
    merge(told_->report, facts.usage);
    told_->usage = total_of(told_->report, options_.api);
  } else {
    told_->usage = total_of(facts.usage, options_.api);
  }
}

void StreamFilter::push(std::string_view text, bool in_input) {
  if (text.empty()) return;
  std::size_t begin = rewritten_.size();
  if (in_input) {
    begin = static_cast<std::size_t>(text.data() - input_.data());
  } else {
    rewritten_.append(text);
  }
  if (!pieces_.empty() && pieces_.back().in_input == in_input && pieces_.back().end == begin) {
    pieces_.back().end = begin + text.size();
  } else {
    pieces_.push_back({in_input, begin, begin + text.size()});
  }
}

// Offsets count in the joined data. In the event's text each line of it stands behind `data:`, and the line feeds that
// join them stay, also inside a stretch that goes: they are white space to JSON.
void StreamFilter::push_changed(const SseItem& item, std::span<const Span> changed, std::string_view instead) {
  std::size_t data_begin = 0;  // of the current line's value, in the joined data
  std::size_t pushed = 0;      // of item.text
  const auto push_to = [&](std::size_t end) {
    push(item.text.substr(pushed, end - pushed), false);
    pushed = end;
  };
  for (std::size_t line_begin = 0, line_end = 0; line_begin < item.text.size(); line_begin = line_end + 1) {
    line_end = item.text.find('\n', line_begin);
    const std::string_view line = item.text.substr(line_begin, line_end - line_begin);
    if (line != "data" && !line.starts_with("data:")) continue;
    const std::size_t prefix = std::min<std::size_t>(line.size(), line.starts_with("data: ") ? 6 : 5);
    const std::size_t data_end = data_begin + line.size() - prefix;
    const auto in_text = [&](std::size_t offset) {
      return line_begin + prefix + std::clamp(offset, data_begin, data_end) - data_begin;
    };
    for (const Span& span : changed) {
      if (span.end <= data_begin || span.begin >= data_end) continue;
      push_to(in_text(span.begin));
      if (span.begin >= data_begin) push(instead, false);
      pushed = in_text(span.end);
    }
    data_begin = data_end + 1;
  }
  push_to(item.text.size());
}

void StreamFilter::flush(std::vector<std::string_view>& out) {
  for (const Piece& piece : pieces_) {
    const std::string_view from = piece.in_input ? input_ : std::string_view(rewritten_);
    out.push_back(from.substr(piece.begin, piece.end - piece.begin));
  }
}

}  // namespace weir::protocol
