#include "proxy/upstream_call.hpp"

#include <algorithm>
#include <array>

namespace weir::proxy {
namespace {

using net::Clock;
using net::Failure;
using net::IoStep;

// Interim answers (100, 103) an upstream may send before the real one.
constexpr int interim_answers_max = 16;
constexpr net::HeadLimits head_limits{128 * 1024, 256};

}  // namespace

HeadLimit limit_of_head(const UpstreamTimeouts& timeouts) {
  HeadLimit limit{TimeLimit::first_byte, timeouts.first_byte};
  if (timeouts.first_content < limit.time) limit = {TimeLimit::first_content, timeouts.first_content};
  if (timeouts.total < limit.time) limit = {TimeLimit::total, timeouts.total};
  return limit;
}

Failure UpstreamCall::failed(Failure::Kind kind, std::string detail) const {
  Failure failure;
  failure.origin = Failure::Origin::upstream;
  failure.kind = kind;
  failure.detail = std::move(detail);
  failure.connection_reused = lease_ && lease_.reused();
  failure.request_sent = sent_;
  failure.response_begun = first_byte_at_.has_value() || interim_answers_ > 0;
  return failure;
}

Failure UpstreamCall::broken() const {
  return failed(Failure::Kind::reset, "the connection broke before an answer came");
}

net::Task<Failure> UpstreamCall::connect(net::UpstreamPool::Choice choice) {
  net::OpenContext context{session_.signal(), Session::opening, Session::client_in | Session::insist, {}};
  context.still_wanted = [this](net::Signal::Bits bits) { return session_.take_note(bits); };
  session_.watch_client();
  auto acquired = co_await session_.context().pool.acquire(endpoint_, std::move(context), choice);
  if (auto* failure = std::get_if<Failure>(&acquired)) co_return std::move(*failure);
  lease_ = std::move(std::get<net::Lease>(acquired));
  co_return Failure{};
}

net::Task<Failure> UpstreamCall::start(OutgoingRequest request) {
  Failure failure = co_await send(request);
  if (failure || session_.gone() || refusal_) co_return failure;
  co_return co_await read_head(request);
}

// The answer may begin before the request has been written (a refusal of a large body): reading wins.
net::Task<Failure> UpstreamCall::send(OutgoingRequest& request) {
  net::Connection& upstream = connection();
  session_.signal().clear(Session::upstream_in | Session::upstream_out);
  std::vector<std::string_view> pieces;
  pieces.reserve(request.body.size() + 1);
  pieces.push_back(request.head);
  pieces.insert(pieces.end(), request.body.begin(), request.body.end());
  net::PieceCursor cursor(pieces);
  std::uint64_t seen = upstream.bytes_written();
  net::Instant gap_ends = Clock::now() + timeouts_.byte_gap;
  for (;;) {
    const IoStep step = upstream.write_some(cursor);
    if (step.status == IoStep::Status::done) break;
    if (step.status != IoStep::Status::would_block) break;  // it may have said why: read_head() looks
    if (upstream.bytes_written() != seen) {
      seen = upstream.bytes_written();
      gap_ends = Clock::now() + timeouts_.byte_gap;
    }
    session_.arm(std::min(gap_ends, heartbeat_.next()));
    upstream.wire().wait_writable(session_.bell(Session::upstream_out));
    upstream.wire().wait_readable(session_.bell(Session::upstream_in));
    const net::Signal::Bits rang = co_await session_.wait(Session::upstream_out | Session::upstream_in | Session::time);
    if (session_.gone()) co_return Failure{};
    if ((rang & Session::upstream_in) != 0 && answer_begins()) {
      session_.disarm();
      co_return Failure{};
    }
    if (rang != Session::time) continue;
    if (Clock::now() >= gap_ends) co_return failed(Failure::Kind::timeout, "it took no more of the request");
    heartbeat_.beat(Clock::now());
  }
  session_.disarm();
  std::string().swap(request.head);  // many calls wait long for their answer
  if (upstream.write_failed()) co_return Failure{};
  if (request.stream) co_return co_await upload(request);
  sent_ = true;
  if (request.at_sent) request.at_sent();
  co_return Failure{};
}

net::Task<Failure> UpstreamCall::upload(OutgoingRequest& request) {
  net::Connection& upstream = connection();
  const bool chunked = request.framing.kind == net::BodyFraming::Kind::chunked;
  upstream.wire().wait_readable(session_.bell(Session::upstream_in));
  while (!request.stream->complete()) {
    const std::string_view piece = co_await request.stream->next_piece(refusal_);
    if (refusal_ || session_.gone()) co_return Failure{};
    if (piece.empty() && request.stream->complete()) break;
    if (piece.empty()) {  // the upstream has something to say before the upload is over
      session_.signal().clear(Session::upstream_in);
      if (answer_begins()) co_return Failure{};
      continue;
    }
    net::ChunkHeader header;
    const std::array<std::string_view, 3> framed{header.write(piece.size()), piece, "\r\n"};
    if (chunked) {
      upstream.write(framed);
    } else {
      upstream.write(piece);
    }
    const Flushed flushed = co_await flush();
    if (flushed == Flushed::too_slow) co_return failed(Failure::Kind::timeout, "it took no more of the request");
    if (flushed != Flushed::all) co_return Failure{};
  }
  if (chunked) {
    upstream.write("0\r\n\r\n");
    const Flushed flushed = co_await flush();
    if (flushed == Flushed::too_slow) co_return failed(Failure::Kind::timeout, "it took no more of the request");
    if (flushed != Flushed::all) co_return Failure{};
  }
  sent_ = true;
  co_return Failure{};
}

UpstreamCall::Front UpstreamCall::look_at_front() {
  net::Connection& upstream = connection();
  while (invalid_.empty()) {
    if (upstream.unread().empty()) return Front::incomplete;
    if (upstream.unread().starts_with("\x15\x03")) {
      invalid_ = "its answer is not valid HTTP but a TLS alert, as of a port that speaks TLS: is https:// meant?";
      break;
    }
    const auto end = net::find_head_end(upstream.unread(), head_limits);
    if (const auto* error = std::get_if<net::HeadError>(&end)) {
      invalid_ = "its answer is not valid HTTP: " + error->reason;
      break;
    }
    const std::size_t size = std::get<std::size_t>(end);
    if (size == 0) return Front::incomplete;
    head_bytes_.assign(upstream.unread().substr(0, size));
    head_size_ = size;
    net::mend_response_head(head_bytes_);
    if (const auto error = net::parse_response_head(head_bytes_, head_limits, head_)) {
      invalid_ = "its answer is not valid HTTP: " + error->reason;
    } else if (head_.status == 101) {
      invalid_ = "it switched protocols without being asked";
    } else if (head_.status >= 200) {
      return Front::answer;
    } else if (++interim_answers_ > interim_answers_max) {
      invalid_ = "too many interim answers";
    } else {
      upstream.consume(size);
    }
  }
  return Front::invalid;
}

// That the upstream is readable says little: TLS has messages of its own, such as the session tickets after a
// handshake, and 100 only says to go on. True: there is an answer to be read, or the connection is over.
bool UpstreamCall::answer_begins() {
  for (;;) {
    const IoStep step = connection().read_more();
    if (step.status == IoStep::Status::would_block) break;
    if (step.status != IoStep::Status::done || look_at_front() != Front::incomplete) return true;
  }
  connection().wire().wait_readable(session_.bell(Session::upstream_in));
  return false;
}

net::Task<UpstreamCall::Flushed> UpstreamCall::flush() {
  net::Connection& upstream = connection();
  while (upstream.has_unflushed() && !upstream.write_failed()) {
    session_.arm(Clock::now() + timeouts_.byte_gap);
    upstream.wire().wait_writable(session_.bell(Session::upstream_out));
    const net::Signal::Bits rang = co_await session_.wait(Session::upstream_out | Session::upstream_in | Session::time);
    session_.disarm();
    if (session_.gone()) co_return Flushed::interrupted;
    if ((rang & Session::upstream_in) != 0 && answer_begins()) co_return Flushed::interrupted;
    if (rang == Session::time) co_return Flushed::too_slow;
    upstream.flush();
  }
  co_return upstream.write_failed() ? Flushed::interrupted : Flushed::all;  // it may have said why: read_head() looks
}

net::Task<Failure> UpstreamCall::read_head(OutgoingRequest& request) {
  net::Connection& upstream = connection();
  sent_at_ = Clock::now();
  const net::Instant deadline = sent_at_ + limit_of_head(timeouts_).time;
  for (;;) {
    if (!upstream.unread().empty() && !first_byte_at_) first_byte_at_ = Clock::now();
    const Front front = look_at_front();
    if (front == Front::invalid) co_return failed(Failure::Kind::invalid, invalid_);
    if (front == Front::answer) {
      upstream.consume(head_size_);
      auto framing = net::response_framing(head_, request.method);
      if (const auto* error = std::get_if<net::HeadError>(&framing)) {
        co_return failed(Failure::Kind::invalid, "its answer is not valid HTTP: " + error->reason);
      }
      framing_ = std::get<net::BodyFraming>(framing);
      to_head_ = request.method == "HEAD";
      session_.disarm();
      co_return Failure{};
    }
    // After a failed write there is only what had arrived before.
    if (!upstream.write_failed()) {
      upstream.wire().wait_readable(session_.bell(Session::upstream_in));
      session_.arm(std::min(deadline, heartbeat_.next()));
      const net::Signal::Bits rang = co_await session_.wait(Session::upstream_in | Session::time);
      if (session_.gone()) co_return Failure{};
      if ((rang & Session::upstream_in) == 0) {
        if (Clock::now() >= deadline) co_return failed(Failure::Kind::timeout, "no answer began in time");
        heartbeat_.beat(Clock::now());
        continue;
      }
    }
    const IoStep step = upstream.read_more();
    if (step.status == IoStep::Status::done) continue;
    if (step.status == IoStep::Status::would_block && !upstream.write_failed()) continue;
    if (!upstream.unread().empty()) {
      constexpr std::string_view start = "HTTP/";
      const std::string_view there = upstream.unread();
      if (!there.starts_with(start.substr(0, there.size())))
        co_return failed(Failure::Kind::invalid, "its answer is not valid HTTP: it does not begin with HTTP/");
      co_return failed(Failure::Kind::truncated, "the connection ended inside the head of the answer");
    }
    co_return broken();
  }
}

// An answer that has no body whatever its head says (HEAD, 204, 304) may be followed by one all the same, by an
// upstream that does not know that.
UpstreamCall::Rest UpstreamCall::rest_on_the_wire() const {
  const bool no_content = head_.status == 204;
  if (!to_head_ && !no_content && head_.status != 304) return Rest::none;
  if (to_head_) return Rest::unlikely;  // what it tells is what a GET would get
  const std::string_view length = head_.value_of("content-length");
  const bool told = head_.find("transfer-encoding") || (no_content && !length.empty() && length != "0");
  return told ? Rest::announced : Rest::unlikely;
}

void UpstreamCall::give_back() {
  const Rest rest = rest_on_the_wire();
  const bool reusable = sent_ && rest != Rest::announced && head_.keep_alive() &&
                        framing_.kind != net::BodyFraming::Kind::until_close && connection().unread().empty() &&
                        !connection().has_unflushed() && !connection().write_failed();
  if (reusable) {
    lease_.give_back(rest == Rest::none ? net::Lease::Trust::usual : net::Lease::Trust::look_first);
  } else {
    lease_.discard();
  }
}

}  // namespace weir::proxy
