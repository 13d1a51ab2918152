#include "proxy/relay.hpp"

#include <algorithm>

#include "protocol/json_scan.hpp"
#include "proxy/tell_failure.hpp"

namespace weir::proxy {
namespace {

using net::Clock;
using net::Instant;
using net::IoStep;

// Behind the last word (or an error) only the end of the body is to come. It keeps the upstream's connection usable,
// and is worth a moment, no more: the client waits for it, or has left already (openai-python does).
constexpr std::chrono::milliseconds read_out_max{500};
// The same, where the client has left.
constexpr std::chrono::milliseconds read_out_alone_max{80};
// An error comes in one go: its status is known, and somebody waits for another try.
constexpr std::chrono::seconds error_time_max{3};
// When the time of a call is over, what its client has not taken yet still has so long.
constexpr std::chrono::seconds last_words_max{2};
constexpr int reads_in_a_row_max = 16;  // a megabyte
// Often enough for a forecast over a window of seconds.
constexpr std::chrono::milliseconds progress_every{250};

protocol::FilterOptions filter_options(const RelayOptions& options) {
  protocol::FilterOptions made;
  made.api = options.api;
  made.hide_usage = options.hide_usage;
  made.choices = options.choices;
  return made;
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
      filter_(filter_options(options_)),
      started_(call.sent_at()) {
  last_byte_ = last_content_ = last_progress_ = error_begun_ = Clock::now();
}

std::optional<protocol::Usage> Relay::usage() const {
  return options_.kind == AnswerKind::events ? filter_.usage() : answer_usage_;
}

// Every answer tells its tokens at its end, some as they come; until then a content event counts as a token.
void Relay::report_progress(Instant now) {
  std::uint64_t tokens = filter_.contents();
  if (now < last_progress_ + progress_every || tokens == 0) return;
  last_progress_ = now;
  if (const auto usage = filter_.usage()) {
    if (usage->output) tokens = std::max(tokens, *usage->output);
    if (usage->input) turn_.measured(*usage->input, usage->cached.value_or(0));
  }
  turn_.progress(tokens);
}

Instant Relay::byte_deadline() const {
  const Instant next_byte = last_byte_ + options_.timeouts->byte_gap;
  return may_be_held() ? std::min(next_byte, error_begun_ + error_time_max) : next_byte;
}

MaybeRefusal Relay::check_clocks(Instant now) {
  if (const Instant end = end_deadline(); end != Instant::max()) {  // it has said all
    if (now >= end) end_without_upstream();
    return std::nullopt;
  }
  const UpstreamTimeouts& limits = *options_.timeouts;
  if (now >= over_at()) return upstream_too_slow(TimeLimit::total, limits.total, options_.upstream);
  if (now >= byte_deadline()) return upstream_too_slow(TimeLimit::stall, limits.byte_gap, options_.upstream);
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

// When a stream that has said all, and does not end, is over. Usage may follow the last finish reason: it is waited for
// like content. Nothing follows the end, or an error.
Instant Relay::end_deadline() const {
  if (options_.kind != AnswerKind::events || filter_.mid_event()) return Instant::max();
  const UpstreamTimeouts& limits = *options_.timeouts;
  if (filter_.ended() || !filter_.error_event().empty()) return std::min(last_content_ + read_out_max, over_at());
  if (!filter_.terminal_seen()) return Instant::max();
  return std::min({last_content_ + limits.content_gap, last_byte_ + limits.byte_gap, over_at()});
}

Instant Relay::next_deadline() const {
  Instant next = end_deadline();
  if (next == Instant::max()) next = std::min({over_at(), byte_deadline(), content_deadline()});
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
    if (early_error_ && !opened_) {
      for (const std::string_view slice : out) held_.append(slice);
    } else {
      send(out, Downstream::End::complete);
    }
  } else {
    if (!clean) return upstream_failed(failure, options_.upstream);
    if (!body_begun_ && must_speak()) return no_content();
    if (must_speak() && !answer_too_large_ && protocol::json::is_cut(answer_))
      return upstream_failed(failure, options_.upstream);
    note_answer();
    if (options_.kind != AnswerKind::error && !early_error_) send({}, Downstream::End::complete);
  }
  complete_ = true;
  return std::nullopt;
}

// What follows the last word is of no use to anybody.
void Relay::end_without_upstream() {
  complete_ = true;
  if (opened_ || !early_error_) send({}, Downstream::End::complete);
}

// Is it one that cannot be empty? Keep-alives and nothing else are no answer.
bool Relay::must_speak() const {
  if (options_.kind == AnswerKind::events) return true;
  return options_.kind == AnswerKind::json && options_.api != protocol::Api::other;
}

// An end with nothing before it that it could be the end of: [DONE] behind keep-alives, or that of the body.
bool Relay::ended_with_nothing() const {
  if (opened_ || early_error_ || !must_speak()) return false;
  return decoder_.complete() || (options_.kind == AnswerKind::events && filter_.ended());
}

// A body may be whole and the stream in it not: whoever relays one and loses its upstream may end it well, as nginx
// does with one of HTTP/1.0.
bool Relay::ended_early() const {
  using protocol::Api;
  const Api api = options_.api;
  const bool known = api == Api::chat || api == Api::completions || api == Api::responses || api == Api::messages;
  if (options_.kind != AnswerKind::events) return false;
  return filter_.mid_event() || (known && !filter_.finish_seen() && filter_.error_event().empty());
}

Refusal Relay::no_content() const {
  net::Failure failure;
  failure.kind = net::Failure::Kind::truncated;
  failure.detail = "its answer ended before any content";
  return upstream_failed(failure, options_.upstream);
}

Refusal Relay::no_last_word() const {
  net::Failure failure;
  failure.kind = net::Failure::Kind::truncated;
  failure.detail = "its stream ended without a finish reason or any other last word";
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

net::Task<MaybeRefusal> Relay::fail(MaybeRefusal refusal) {
  if (may_be_held()) {
    if (Clock::now() >= over_at())
      co_return upstream_too_slow(TimeLimit::total, options_.timeouts->total, options_.upstream);
    cut_short();
    co_return std::nullopt;
  }
  tell(*refusal);
  if (downstream_.must_drain() && !session_.gone()) co_await drain_to_the_end();
  co_return refusal;
}

net::Task<void> Relay::drain_to_the_end() {
  return session_.drain_or_drop(std::max(over_at(), Clock::now() + last_words_max));
}

// The client left after the last word: the rest of the upstream's body is read for the sake of its connection.
net::Task<void> Relay::read_out() {
  session_.arm(Clock::now() + read_out_alone_max);
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

// An answer whose head tells that nothing follows it.
MaybeRefusal Relay::end_without_body() {
  if (must_speak() && call_.head().status != 204 && session_.head().method == "POST") return no_content();
  if (options_.kind != AnswerKind::error) send({}, Downstream::End::complete);
  complete_ = true;
  return std::nullopt;
}

// What is there of the body, at most as much as one read takes.
MaybeRefusal Relay::take_what_is_there() {
  net::Connection& upstream = call_.connection();
  if (!upstream.unread().empty()) {
    upstream.consume(take(upstream.unread_bytes()));
    return std::nullopt;
  }
  if (drained_) return std::nullopt;
  std::span<char> raw;
  const IoStep step = upstream.read_scratch(raw);
  if (step.status == IoStep::Status::would_block) {
    drained_ = true;
    return std::nullopt;
  }
  if (step.status != IoStep::Status::done) return end_of_connection(step.status);
  // A fast upstream with a fast client would never let the worker's other connections have their turn.
  drained_ = raw.size() < net::Worker::scratch_size || ++reads_ >= reads_in_a_row_max;
  const std::size_t consumed = take(raw);
  // Bytes behind the end of the answer belong to nothing that was asked: the connection is not used again.
  upstream.keep(std::string_view(raw.data(), raw.size()).substr(consumed));
  return std::nullopt;
}

// The body is over, or can be read no further; nothing: there is more to come.
MaybeRefusal Relay::end_of_body() {
  if (decoder_.wrong()) return malformed_chunks();
  if (!decoder_.complete()) return std::nullopt;
  if (!opened_ && !early_error_ && options_.kind != AnswerKind::error) send({}, Downstream::End::complete);
  if (ended_early()) return no_last_word();
  complete_ = true;
  return std::nullopt;
}

// The client has taken what there was for it, in its own time.
MaybeRefusal Relay::after_drain() {
  // What the upstream sent meanwhile has not been looked at: the time is the client's, not a silence of the upstream.
  drained_ = false;
  // But the whole of a call has its limit, whoever is slow.
  if (Clock::now() < over_at() || session_.gone()) return std::nullopt;
  if (end_deadline() == Instant::max())
    return upstream_too_slow(TimeLimit::total, options_.timeouts->total, options_.upstream);
  end_without_upstream();
  return std::nullopt;
}

void Relay::ask_for_more() {
  reads_ = 0;
  report_progress(last_byte_);
  session_.arm(next_deadline());
  call_.connection().wire().wait_readable(session_.bell(Session::upstream_in));
}

void Relay::hear(net::Signal::Bits rang) {
  if ((rang & Session::upstream_in) != 0) drained_ = false;
  if ((rang & Session::time) == 0) return;
  // Inside an event that is too large to be held, nothing may be put in between, and nothing belongs behind the end.
  if (filter_.mid_event() || filter_.ended()) {
    heartbeat_.note_said(Clock::now());
  } else {
    heartbeat_.beat(Clock::now());
  }
}

net::Task<MaybeRefusal> Relay::run() {
  if (decoder_.complete()) co_return end_without_body();
  drained_ = false;
  reads_ = 0;
  MaybeRefusal refusal;
  for (;;) {
    refusal = take_what_is_there();
    if (!refusal && !complete_) {
      if (ended_with_nothing()) co_return no_content();
      refusal = end_of_body();
    }
    if (!refusal && !complete_ && downstream_.must_drain()) {
      co_await session_.drain(over_at());
      refusal = after_drain();
    }
    if (refusal) co_return co_await fail(std::move(refusal));
    if (complete_ || session_.gone()) break;
    if (!drained_ || !call_.connection().unread().empty()) continue;

    // Everything there is has been read: what is missing now is missing.
    refusal = check_clocks(Clock::now());
    if (refusal) co_return co_await fail(std::move(refusal));
    if (complete_) break;
    ask_for_more();
    const net::Signal::Bits rang = co_await session_.wait(Session::upstream_in | Session::time);
    if (session_.gone()) break;
    hear(rang);
  }
  if (session_.insisted() && !complete_) {
    refusal = shutting_down();
    tell(*refusal);
    co_return refusal;
  }
  if (session_.gone() && !complete_ && options_.kind == AnswerKind::events && filter_.terminal_seen()) {
    co_await read_out();
    complete_ = true;
  }
  if (downstream_.must_drain() && !session_.gone()) co_await drain_to_the_end();
  session_.disarm();
  co_return std::nullopt;
}

}  // namespace weir::proxy
