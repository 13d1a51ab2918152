#include "proxy/client_body.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace weir::proxy {
namespace {

using net::Clock;
using net::IoStep;

// A body is slow when it takes longer than its limit plus a second for each of so many bytes: a large upload over a
// thin line passes, a byte now and then does not.
constexpr std::size_t slowest_bytes_per_second = 64 * 1024;
// What a body by length is given before any of it has come: most are no larger.
constexpr std::size_t first_room = 128 * 1024;
// When shutdown begins what is on its way still arrives. A body that does not is no call yet: its sender can go
// elsewhere at once, while waiting would take the time of the calls that run.
constexpr std::chrono::seconds shutdown_grace{1};

}  // namespace

void BodyBuffer::reserve(std::size_t capacity) {
  if (capacity <= capacity_) return;
  char* old = data_.release();
  void* grown = std::realloc(old, capacity + protocol::RequestReader::padding);
  data_.reset(grown ? static_cast<char*>(grown) : old);
  if (!grown) throw std::bad_alloc();
  capacity_ = capacity;
}

std::span<char> BodyBuffer::room(std::size_t bytes) {
  if (!data_) reserve(std::max<std::size_t>(bytes, 1));  // the padding is there even behind an empty body
  if (capacity_ - size_ < bytes) reserve(std::max(size_ + bytes, capacity_ * 2));
  return {data_.get() + size_, bytes};
}

std::span<char> BodyBuffer::room_within(std::size_t bytes_in_all) {
  if (size_ == capacity_) reserve(std::min(bytes_in_all, std::max(first_room, capacity_ * 2)));
  return {data_.get() + size_, std::min(capacity_, bytes_in_all) - size_};
}

void BodyBuffer::append(std::string_view bytes) {
  if (bytes.empty()) return;
  std::memcpy(room(bytes.size()).data(), bytes.data(), bytes.size());
  commit(bytes.size());
}

ClientBody::ClientBody(Session& session, const net::BodyFraming& framing, const BodyLimits& limits)
    : session_(session),
      decoder_(framing),
      bytes_max_(limits.body_bytes_max),
      together_max_(limits.bodies_bytes_max),
      limit_(session.context().snapshot->settings->client_timeouts.body) {}

void ClientBody::begin_wait() {
  waiting_since_ = Clock::now();
  const std::chrono::milliseconds allowed =
      limit_ + std::chrono::milliseconds(bytes_read_ * 1000 / slowest_bytes_per_second);
  const net::Instant slow_at = waiting_since_ + allowed - waited_;
  session_.arm(shutdown_ends_at_ ? std::min(slow_at, *shutdown_ends_at_) : slow_at);
  session_.client().wire().wait_readable(session_.bell(Session::client_in));
}

void ClientBody::end_wait() {
  waited_ += Clock::now() - waiting_since_;
  session_.disarm();
}

void ClientBody::invite() {
  const net::RequestHead& head = session_.head();
  if (head.version < 11 || !head.find("expect")) return;
  if (decoder_.complete() || !session_.client().unread().empty()) return;
  session_.client().write("HTTP/1.1 100 Continue\r\n\r\n");
}

MaybeRefusal ClientBody::refuse_size(std::uint64_t bytes) const {
  if (bytes > bytes_max_) return refuse_large_body(bytes_max_, "limits.body_bytes_max");
  // It alone would not fit: that is not for another time.
  if (bytes > together_max_) return refuse_large_body(together_max_, "limits.bodies_bytes_max");
  return std::nullopt;
}

net::Task<MaybeRefusal> ClientBody::read_whole(BodyBuffer& into, BodyRoom::Claim& claim) {
  const net::BodyFraming& framing = decoder_.framing();
  const bool direct = framing.kind == net::BodyFraming::Kind::length;  // goes straight to where it will stay
  const auto length = static_cast<std::size_t>(framing.length);
  if (direct) {
    if (auto refusal = refuse_size(framing.length)) co_return refusal;
    if (!session_.context().shared.body_room.has_room(length, together_max_))
      co_return refuse_more_bodies(together_max_);
    into.room_within(length);
  }
  invite();
  std::vector<std::string_view>& data = session_.context().data;
  net::Connection& client = session_.client();
  while (!decoder_.complete()) {
    if (!client.unread().empty()) {
      data.clear();
      const std::size_t consumed = decoder_.feed(client.unread(), data);
      for (const std::string_view piece : data) into.append(piece);
      client.consume(consumed);
    } else {
      if (is_time_for_others()) co_await session_.let_others_run();
      std::span<char> bytes = direct ? into.room_within(length) : std::span<char>();
      const IoStep step = direct ? client.wire().try_read(bytes) : client.read_scratch(bytes);
      if (step.status == IoStep::Status::would_block) {
        begin_wait();
        const net::Signal::Bits rang =
            co_await session_.signal().wait(Session::client_in | Session::time | Session::stop | Session::insist);
        end_wait();
        if ((rang & Session::insist) != 0) session_.take_note(Session::insist);
        if (session_.gone()) co_return std::nullopt;
        if ((rang & Session::stop) != 0) shutdown_ends_at_ = Clock::now() + shutdown_grace;
        if (shutdown_ends_at_ && Clock::now() >= *shutdown_ends_at_) co_return shutting_down();
        if ((rang & Session::time) != 0) co_return refuse_slow("body", limit_);
        continue;
      }
      if (step.status != IoStep::Status::done) {
        session_.note_left();
        co_return std::nullopt;
      }
      const std::string_view got(bytes.data(), step.bytes);
      data.clear();
      const std::size_t consumed = decoder_.feed(got, data);
      if (direct) {
        into.commit(step.bytes);
      } else {
        for (const std::string_view piece : data) into.append(piece);
        client.keep(got.substr(consumed));
      }
    }
    bytes_read_ = into.size();
    if (decoder_.wrong()) co_return refuse_chunks();
    if (auto refusal = refuse_size(into.size())) co_return refusal;
    if (!claim.grow_to(into.size(), together_max_)) co_return refuse_more_bodies(together_max_);
  }
  into.room(0);
  co_return std::nullopt;
}

net::Task<std::string_view> ClientBody::next_piece(MaybeRefusal& refusal) {
  std::vector<std::string_view>& data = session_.context().data;
  net::Connection& client = session_.client();
  while (!decoder_.complete()) {
    if (client.unread().empty()) {
      if (is_time_for_others()) co_await session_.let_others_run();
      const IoStep step = client.read_more();
      if (step.status == IoStep::Status::would_block) {
        begin_wait();
        const net::Signal::Bits rang = co_await session_.signal().wait(Session::client_in | Session::upstream_in |
                                                                       Session::time | Session::insist);
        end_wait();
        if ((rang & Session::insist) != 0) session_.take_note(Session::insist);
        if ((rang & Session::upstream_in) != 0) {
          // The upstream has something to say before the upload is over: the caller looks.
          session_.signal().raise(Session::upstream_in);
          co_return std::string_view();
        }
        if (session_.gone()) co_return std::string_view();
        if ((rang & Session::time) != 0) {
          refusal = refuse_slow("body", limit_);
          co_return std::string_view();
        }
        continue;
      }
      if (step.status != IoStep::Status::done) {
        session_.note_left();
        co_return std::string_view();
      }
    }
    data.clear();
    const std::size_t consumed = decoder_.feed(client.unread(), data);
    piece_.clear();
    for (const std::string_view slice : data) piece_.append(slice);
    client.consume(consumed);
    bytes_read_ += piece_.size();
    if (decoder_.wrong()) {
      refusal = refuse_chunks();
      co_return std::string_view();
    }
    if (!piece_.empty()) co_return std::string_view(piece_);
  }
  co_return std::string_view();
}

}  // namespace weir::proxy
