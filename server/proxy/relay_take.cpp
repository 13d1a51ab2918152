// Of a relay: what becomes of the bytes of an answer. They are held, or cross, by the kind of the answer.
#include <algorithm>
#include <cstring>

#include "protocol/answer_beginning.hpp"
#include "protocol/issued_id.hpp"
#include "protocol/json_scan.hpp"
#include "proxy/forward_headers.hpp"
#include "proxy/relay.hpp"

namespace weir::proxy {
namespace {

using net::Clock;
using net::Instant;

// A JSON answer above this is relayed all the same, but its usage is not looked for.
constexpr std::size_t usage_bytes_max = 8u << 20;
// What may wait for the first content: role chunks, message_start, response.created with its whole prompt.
constexpr std::size_t held_bytes_max = 64 * 1024;

}  // namespace

// The body data of one read as one stretch: the layout of chunks is hop-local, so the data of several is moved
// together.
std::string_view Relay::decoded(std::span<char> raw, std::size_t& consumed) {
  std::vector<std::string_view>& data = session_.context().data;
  data.clear();
  consumed = decoder_.feed(std::string_view(raw.data(), raw.size()), data);
  if (data.empty()) return {};
  char* begin = raw.data() + (data.front().data() - raw.data());
  char* end = begin + data.front().size();
  for (std::size_t i = 1; i < data.size(); ++i) {
    std::memmove(end, data[i].data(), data[i].size());
    end += data[i].size();
  }
  return {begin, static_cast<std::size_t>(end - begin)};
}

std::size_t Relay::take(std::span<char> raw) {
  last_byte_ = Clock::now();
  std::size_t consumed = 0;
  const std::string_view data = decoded(raw, consumed);
  switch (options_.kind) {
    case AnswerKind::events:
      relay_events(data);
      break;
    case AnswerKind::json:
      relay_json(data);
      break;
    case AnswerKind::error:
      hold(data);
      break;
    case AnswerKind::raw: {
      if (!data.empty()) note_content(last_byte_);
      const auto end = decoder_.complete() ? Downstream::End::complete : Downstream::End::open;
      send(std::span<const std::string_view>(&data, 1), end);
      break;
    }
  }
  return consumed;
}

void Relay::hold(std::string_view data) {
  if (!data.empty()) note_content(last_byte_);
  held_.append(data);
  if (decoder_.complete()) return take_end();
  if (held_.size() <= held_bytes_max) return;
  // Too large to be an error object, and its beginning has to tell. It crosses as it is, unless it cannot or there is
  // another try.
  downstream_.begun() ? cut_short() : pause();
}

// Of an error, the status and what came of its text tell more than how it ended.
void Relay::cut_short() {
  cut_ = complete_ = true;
  held_.resize(std::min(held_.size(), held_bytes_max));
}

void Relay::pause() {
  cut_ = paused_ = complete_ = true;
}

void Relay::relay_events(std::string_view data) {
  std::vector<std::string_view>& out = session_.context().slices;
  out.clear();
  filter_.feed(data, out);
  if (!out.empty() && options_.wants_id && issued_id_.empty()) issued_id_ = protocol::id_of_events(out.front());
  if (!opened_) {
    early_error_ = says_only_an_error();
    std::size_t size = held_.size();
    for (const std::string_view slice : out) size += slice.size();
    const bool speaks = filter_.content_seen() || (filter_.ended() && filter_.usage() && !early_error_);
    if (speaks || size > held_bytes_max) {
      open();
    } else {
      for (const std::string_view slice : out) held_.append(slice);
      out.clear();
    }
  }
  if (opened_) send(out, Downstream::End::open);
  const std::uint64_t words =
      filter_.contents() + (filter_.ended() ? 1u : 0u) + (filter_.error_event().empty() ? 0u : 1u);
  if (words != words_seen_) {
    words_seen_ = words;
    note_content(last_byte_);
  }
  if (decoder_.complete()) take_end();
}

// The body is over.
void Relay::take_end() {
  if (options_.kind == AnswerKind::events) {
    if (filter_.mid_event()) return;  // of a large one that went out as it came, the rest is missing: see ended_early()
    std::vector<std::string_view>& out = session_.context().slices;
    out.clear();
    filter_.finish(out);
    if (opened_) {
      // Half an event would be closed like a whole one, and libraries stumble over its JSON.
      if (ended_early()) return;
      return send(out, Downstream::End::complete);
    }
    early_error_ = says_only_an_error();  // its blank line may be all that it lacked
    for (const std::string_view slice : out) held_.append(slice);
  } else if (opened_) {
    send({}, Downstream::End::complete);
  }
}

// The first word: what was held goes out in one write with what follows.
void Relay::open() {
  opened_ = true;
  if (options_.at_first_content) options_.at_first_content();
  if (options_.kind != AnswerKind::events) heartbeat_.stop();
  if (call_.head().status < 400 && !says_only_an_error()) turn_.note_content();
  if (downstream_.begun()) {
    if (downstream_.promises_trailers()) downstream_.set_trailers(options_.fields(options_));
    return;
  }
  std::string head = options_.fields(options_);
  if (pointless_) say_pointless(head);
  downstream_.begin(std::move(head), options_.framing);
}

void Relay::send(std::span<const std::string_view> data, Downstream::End end) {
  if (!opened_) open();
  // A read may have brought nothing but keep-alives, which the client does not hear.
  if (!held_.empty() || !data.empty()) heartbeat_.note_said(last_byte_);
  if (held_.empty()) return downstream_.send(data, end);
  std::vector<std::string_view> all;
  all.reserve(data.size() + 1);
  all.emplace_back(held_);
  all.insert(all.end(), data.begin(), data.end());
  downstream_.send(all, end);
  std::string().swap(held_);
}

std::string_view Relay::held_error() const {
  return options_.kind == AnswerKind::events ? std::string_view(filter_.error_event()) : std::string_view(held_);
}

void Relay::release(bool pointless) {
  early_error_ = false;
  pointless_ = pointless;
  if (!paused_) return send({}, Downstream::End::complete);
  options_.kind = AnswerKind::raw;
  cut_ = paused_ = complete_ = false;
  send({}, Downstream::End::open);
}

void Relay::relay_json(std::string_view data) {
  // White space before the JSON is a keep-alive; it crosses only where a length has been promised.
  if (!body_begun_) {
    const auto word = std::find_if_not(data.begin(), data.end(), protocol::json::is_space);
    body_begun_ = word != data.end();
    const bool promised = options_.framing.kind == net::BodyFraming::Kind::length && !downstream_.begun();
    if (!promised) data.remove_prefix(static_cast<std::size_t>(word - data.begin()));
  }
  if (!data.empty() && body_begun_) note_content(last_byte_);
  const bool whole = answer_.empty() && decoder_.complete();
  if (whole) {
    answer_usage_ = protocol::usage_of_answer(data, options_.api);
    if (options_.wants_id) issued_id_ = protocol::id_of_answer(data);
  } else if (answer_.size() + data.size() <= usage_bytes_max && !answer_too_large_) {
    answer_.append(data);
    if (decoder_.complete()) note_answer();
  } else {
    answer_too_large_ = true;
    std::string().swap(answer_);
  }
  if (!opened_) {
    if (!held_.empty()) held_.append(data);
    const std::string_view seen = held_.empty() ? data : std::string_view(held_);
    const auto beginning = protocol::beginning_of(seen, options_.api);
    if (!early_error_) error_begun_ = last_byte_;
    early_error_ = beginning == protocol::Beginning::error;
    const bool nothing = decoder_.complete() && !body_begun_;
    const bool undecided = beginning == protocol::Beginning::unknown && !decoder_.complete();
    if (nothing || early_error_ || (undecided && seen.size() <= held_bytes_max)) {
      if (held_.empty()) held_.assign(data);
      // Its beginning tells that it is an error; there is nobody to whom the rest of so large a one would tell more.
      if (early_error_ && held_.size() > held_bytes_max) cut_short();
      return;
    }
    if (!held_.empty()) data = {};
  }
  const auto end = decoder_.complete() ? Downstream::End::complete : Downstream::End::open;
  send(std::span<const std::string_view>(&data, 1), end);
}

void Relay::note_answer() {
  answer_usage_ = protocol::usage_of_answer(answer_, options_.api);
  if (options_.wants_id) issued_id_ = protocol::id_of_answer(answer_);
}

void Relay::note_content(Instant now) {
  if (first_content_at_ && options_.kind == AnswerKind::events) content_gaps_.note(now - last_content_);
  last_content_ = now;
  if (!first_content_at_ && !early_error_) first_content_at_ = now;
}

}  // namespace weir::proxy
