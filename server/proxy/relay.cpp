#include "proxy/relay.hpp"

#include <algorithm>
#include <cstring>

#include "protocol/error_body.hpp"
#include "protocol/issued_id.hpp"
#include "proxy/forward_headers.hpp"
#include "proxy/tell_failure.hpp"

namespace weir::proxy {
namespace {

using net::Clock;
using net::Instant;
using net::IoStep;

// A JSON answer above this is relayed all the same, but its usage is not looked for.
constexpr std::size_t answer_bytes_max = 8u << 20;
// A client may leave as soon as it has seen the end of a stream (openai-python does); the few bytes that then end the
// upstream's body are worth a moment, since they keep its connection usable.
constexpr std::chrono::milliseconds read_out_max{500};
constexpr int reads_in_a_row_max = 16;  // a megabyte
// What may wait for the first content: role chunks, message_start, response.created with its whole prompt.
constexpr std::size_t held_bytes_max = 64 * 1024;
// Often enough for a forecast over a window of seconds.
constexpr std::chrono::milliseconds progress_every{250};

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// An object whose first member is `error` is the form in which errors come inside a 200.
enum class Beginning { unknown, error, answer };

Beginning beginning_of(std::string_view json) {
  for (const std::string_view part : {"{", "\"error\"", ":"}) {
    while (!json.empty() && is_space(json.front())) json.remove_prefix(1);
    if (json.size() < part.size() && part.starts_with(json)) return Beginning::unknown;
    if (!json.starts_with(part)) return Beginning::answer;
    json.remove_prefix(part.size());
  }
  while (!json.empty() && is_space(json.front())) json.remove_prefix(1);
  if (json.empty()) return Beginning::unknown;
  return json.front() == 'n' ? Beginning::answer : Beginning::error;  // "error": null is none
}

}  // namespace

Relay::Relay(Session& session, UpstreamCall& call, Downstream& downstream, Heartbeat& heartbeat, Turn& turn,
             RelayOptions options)
    : session_(session),
      call_(call),
      downstream_(downstream),
      heartbeat_(heartbeat),
      turn_(turn),
      options_(std::move(options)),
      decoder_(call.framing()),
      filter_(protocol::FilterOptions{options_.api, options_.hide_usage}),
      started_(call.sent_at()) {
  last_byte_ = last_content_ = last_progress_ = Clock::now();
}

std::optional<protocol::Usage> Relay::usage() const {
  return options_.kind == AnswerKind::events ? filter_.usage() : answer_usage_;
}

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
      if (!data.empty()) note_content(last_byte_);
      held_.append(data);
      if (held_.size() > held_bytes_max) {
        options_.kind = AnswerKind::raw;  // too large to be an error object: it crosses as it is
        open();
      }
      if (decoder_.complete()) take_end();
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

void Relay::relay_events(std::string_view data) {
  std::vector<std::string_view>& out = session_.context().slices;
  out.clear();
  filter_.feed(data, out);
  if (!out.empty() && options_.wants_id && issued_id_.empty()) issued_id_ = protocol::id_of_events(out.front());
  if (!opened_) {
    early_error_ = !filter_.error_event().empty() && !filter_.content_seen();
    std::size_t size = held_.size();
    for (const std::string_view slice : out) size += slice.size();
    const bool speaks = filter_.content_seen() || (filter_.terminal_seen() && !early_error_);
    if (speaks || size > held_bytes_max) {
      open();
    } else {
      for (const std::string_view slice : out) held_.append(slice);
      out.clear();
    }
  }
  if (opened_) send(out, Downstream::End::open);
  if (filter_.contents() != contents_seen_ || filter_.terminal_seen()) {
    contents_seen_ = filter_.contents();
    note_content(last_byte_);
  }
  if (decoder_.complete()) take_end();
}

// The body is over.
void Relay::take_end() {
  if (options_.kind == AnswerKind::events) {
    std::vector<std::string_view>& out = session_.context().slices;
    out.clear();
    filter_.finish(out);
    if (opened_) return send(out, Downstream::End::complete);
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
  if (call_.head().status < 400) turn_.note_content();
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
  heartbeat_.note_said(last_byte_);
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
  send({}, Downstream::End::complete);
}

// Every answer tells its tokens at its end, some as they come; until then a content event counts as a token.
void Relay::report_progress(Instant now) {
  if (now < last_progress_ + progress_every || contents_seen_ == 0) return;
  last_progress_ = now;
  std::uint64_t tokens = contents_seen_;
  if (const auto usage = filter_.usage()) {
    if (usage->output) tokens = std::max(tokens, *usage->output);
    if (usage->input) turn_.measured(*usage->input, usage->cached.value_or(0));
  }
  turn_.progress(tokens);
}

void Relay::relay_json(std::string_view data) {
  // White space before the JSON is a keep-alive; it crosses only where a length has been promised.
  if (!body_begun_ && (downstream_.begun() || options_.framing.kind != net::BodyFraming::Kind::length)) {
    while (!data.empty() && is_space(data.front())) data.remove_prefix(1);
  }
  if (!data.empty()) {
    body_begun_ = true;
    note_content(last_byte_);
  }
  const bool whole = answer_.empty() && decoder_.complete();
  if (whole) {
    answer_usage_ = protocol::usage_of_answer(data, options_.api);
    if (options_.wants_id) issued_id_ = protocol::id_of_answer(data);
  } else if (answer_.size() + data.size() <= answer_bytes_max && !answer_too_large_) {
    answer_.append(data);
    if (decoder_.complete()) note_answer();
  } else {
    answer_too_large_ = true;
    std::string().swap(answer_);
  }
  if (!opened_) {
    if (!held_.empty()) held_.append(data);
    const std::string_view seen = held_.empty() ? data : std::string_view(held_);
    const Beginning beginning = beginning_of(seen);
    early_error_ = beginning == Beginning::error;
    const bool nothing = decoder_.complete() && seen.empty();
    const bool undecided = beginning == Beginning::unknown && !decoder_.complete();
    if (nothing || undecided || (early_error_ && seen.size() <= held_bytes_max)) {
      if (held_.empty()) held_.assign(data);
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
  if (!first_content_at_) first_content_at_ = now;
}

MaybeRefusal Relay::check_clocks(Instant now) {
  const UpstreamTimeouts& limits = *options_.timeouts;
  if (now >= started_ + limits.total) return upstream_too_slow(TimeLimit::total, limits.total, options_.upstream);
  if (now >= last_byte_ + limits.byte_gap)
    return upstream_too_slow(TimeLimit::stall, limits.byte_gap, options_.upstream);
  if (now < content_deadline()) return std::nullopt;
  if (!first_content_at_) return upstream_too_slow(TimeLimit::first_content, limits.first_content, options_.upstream);
  return upstream_too_slow(TimeLimit::stall, limits.content_gap, options_.upstream);
}

// Keep-alives must not hide a dead call: without content there is no progress, whatever bytes arrive.
Instant Relay::content_deadline() const {
  if (!first_content_at_) return started_ + options_.timeouts->first_content;
  if (options_.kind == AnswerKind::events && !filter_.terminal_seen())
    return last_content_ + options_.timeouts->content_gap;
  return Instant::max();
}

Instant Relay::next_deadline() const {
  const UpstreamTimeouts& limits = *options_.timeouts;
  Instant next = std::min(started_ + limits.total, last_byte_ + limits.byte_gap);
  next = std::min(next, content_deadline());
  return std::min(next, heartbeat_.next());
}

MaybeRefusal Relay::end_of_connection(IoStep::Status how) {
  net::Failure failure;
  failure.origin = net::Failure::Origin::upstream;
  failure.kind = net::Failure::Kind::truncated;
  failure.detail = "the connection ended before the answer was complete";
  const bool clean = decoder_.ends_with_connection() && how == IoStep::Status::end;
  if (options_.kind == AnswerKind::events) {
    // A body that ends with its connection cannot be told from a cut one, but a stream that never said its last word is
    // one. A stream that has said it is whole, however its connection ends.
    const bool last_word = filter_.terminal_seen() || !filter_.error_event().empty();
    if (!last_word || filter_.mid_event()) return upstream_failed(failure, options_.upstream);
    std::vector<std::string_view>& out = session_.context().slices;
    out.clear();
    if (clean) filter_.finish(out);
    if (early_error_) {
      for (const std::string_view slice : out) held_.append(slice);
    } else {
      send(out, Downstream::End::complete);
    }
  } else {
    if (!clean) return upstream_failed(failure, options_.upstream);
    note_answer();
    if (options_.kind != AnswerKind::error && !early_error_) send({}, Downstream::End::complete);
  }
  complete_ = true;
  return std::nullopt;
}

Refusal Relay::no_content() const {
  net::Failure failure;
  failure.kind = net::Failure::Kind::truncated;
  failure.detail = "its answer ended before any content";
  return upstream_failed(failure, options_.upstream);
}

Refusal Relay::malformed_chunks() const {
  net::Failure failure;
  failure.kind = net::Failure::Kind::invalid;
  failure.detail = "the chunks of its answer are malformed";
  return upstream_failed(failure, options_.upstream);
}

void Relay::tell(const Refusal& refusal) {
  if (!opened_) return;  // there may be another try
  const bool events = options_.kind == AnswerKind::events && !filter_.mid_event();
  tell_failure(session_, downstream_, events ? FailureForm::event : FailureForm::broken, refusal, options_.api,
               options_.request_id);
}

// The client left after the last word: the rest of the upstream's body is read for the sake of its connection.
net::Task<void> Relay::read_out() {
  session_.arm(Clock::now() + read_out_max);
  net::Connection& upstream = call_.connection();
  while (!decoder_.complete() && !decoder_.wrong()) {
    std::span<char> raw;
    const IoStep step = upstream.read_scratch(raw);
    if (step.status == IoStep::Status::done) {
      std::vector<std::string_view>& data = session_.context().data;
      data.clear();
      const std::string_view bytes(raw.data(), raw.size());
      upstream.keep(bytes.substr(decoder_.feed(bytes, data)));  // what is behind the end makes it unfit for reuse
      continue;
    }
    if (step.status != IoStep::Status::would_block) co_return;
    upstream.wire().wait_readable(session_.bell(Session::upstream_in));
    const net::Signal::Bits rang =
        co_await session_.signal().wait(Session::upstream_in | Session::time | Session::insist);
    if ((rang & Session::upstream_in) == 0) co_return;
  }
  session_.disarm();
}

net::Task<MaybeRefusal> Relay::run() {
  net::Connection& upstream = call_.connection();
  if (decoder_.complete()) {
    const bool nothing = call_.framing().kind != net::BodyFraming::Kind::none &&
                         (options_.kind == AnswerKind::events || options_.kind == AnswerKind::json);
    if (nothing) co_return no_content();
    if (options_.kind != AnswerKind::error) send({}, Downstream::End::complete);
    complete_ = true;
    co_return std::nullopt;
  }
  bool drained = false;  // the last read took all there was: ask for readiness instead of reading in vain
  int reads = 0;         // one after the other without a wait
  for (;;) {
    if (!upstream.unread().empty()) {
      upstream.consume(take(upstream.unread_bytes()));
    } else if (!drained) {
      std::span<char> raw;
      const IoStep step = upstream.read_scratch(raw);
      if (step.status == IoStep::Status::done) {
        // A fast upstream with a fast client would never let the worker's other connections have their turn.
        drained = raw.size() < net::Worker::scratch_size || ++reads >= reads_in_a_row_max;
        const std::size_t consumed = take(raw);
        // Bytes behind the end of the answer belong to nothing that was asked: the connection is not used again.
        upstream.keep(std::string_view(raw.data(), raw.size()).substr(consumed));
      } else if (step.status == IoStep::Status::would_block) {
        drained = true;
      } else {
        MaybeRefusal cut = end_of_connection(step.status);
        if (cut) tell(*cut);
        if (downstream_.must_drain() && !session_.gone()) co_await downstream_.drain();
        co_return cut;
      }
    }
    if (decoder_.complete()) {
      // Keep-alives and nothing else are no answer.
      if (!opened_ && !early_error_ && options_.kind != AnswerKind::error) co_return no_content();
      complete_ = true;
      break;
    }
    if (decoder_.wrong()) {
      MaybeRefusal malformed = malformed_chunks();
      tell(*malformed);
      if (downstream_.must_drain() && !session_.gone()) co_await downstream_.drain();
      co_return malformed;
    }
    if (downstream_.must_drain()) {
      co_await downstream_.drain();
      // What the upstream sent meanwhile has not been looked at: the time is the client's, not a silence of the
      // upstream.
      drained = false;
    }
    if (session_.gone()) break;
    if (!drained || !upstream.unread().empty()) continue;

    // Everything there is has been read: what is missing now is missing.
    if (MaybeRefusal late = check_clocks(Clock::now())) {
      tell(*late);
      if (downstream_.must_drain() && !session_.gone()) co_await downstream_.drain();
      co_return late;
    }
    reads = 0;
    report_progress(last_byte_);
    session_.arm(next_deadline());
    upstream.wire().wait_readable(session_.bell(Session::upstream_in));
    const net::Signal::Bits rang = co_await session_.wait(Session::upstream_in | Session::time);
    if (session_.gone()) break;
    if ((rang & Session::upstream_in) != 0) drained = false;
    if ((rang & Session::time) == 0) continue;
    // Inside an event that is too large to be held, nothing may be put in between.
    if (filter_.mid_event()) {
      heartbeat_.note_said(Clock::now());
    } else {
      heartbeat_.beat(Clock::now());
    }
  }
  if (session_.insisted() && !complete_) {
    MaybeRefusal refusal = shutting_down();
    tell(*refusal);
    co_return refusal;
  }
  if (session_.gone() && !complete_ && options_.kind == AnswerKind::events && filter_.terminal_seen()) {
    co_await read_out();
    complete_ = true;
  }
  if (downstream_.must_drain() && !session_.gone()) co_await downstream_.drain();
  session_.disarm();
  co_return std::nullopt;
}

}  // namespace weir::proxy
