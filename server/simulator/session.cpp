#include "simulator/session.hpp"

#include <algorithm>

namespace weir::simulator {
namespace {

constexpr std::size_t pipelined_bytes_max = 64 * 1024;  // kept of later requests while an answer is on its way
constexpr std::size_t body_bytes_max = 256u << 20;      // larger prompts do not exist
constexpr std::size_t upload_kept_max = Ledger::kept_body_max;
constexpr std::size_t idle_capacity_max = 64 * 1024;  // a body buffer above it is not kept for the next request
constexpr std::chrono::milliseconds linger_max{500};
constexpr std::size_t body_padding = 64;  // simdjson reads a little beyond the body

}  // namespace

Session::Session(Desk& desk, std::unique_ptr<net::Wire> wire)
    : desk_(desk),
      connection_(desk.worker, std::move(wire)),
      timer_(desk.worker.timers(), net::Bell{&signal_, timer_bit}) {
  desk_.sessions.push_back(this);
}

Session::~Session() {
  std::erase(desk_.sessions, this);
  if (counted_) desk_.ledger.connection_closed();
}

net::Task<void> Session::run() {
  while (co_await read_request()) {
    if (!counted_ && !is_own(request_.target.route)) {
      counted_ = true;
      desk_.ledger.connection_opened();
    }
    Reply reply = desk_.responder.respond(request_);
    const Ending ending = co_await send(reply);
    if (ending == Ending::reset) {
      connection_.wire().abort();
      co_return;
    }
    if (ending == Ending::close) break;
  }
  if (refused_) co_await linger();
  connection_.wire().close();
}

// A close with bytes unread would be a reset, which may overtake the answer: the rest is read and thrown away first.
net::Task<void> Session::linger() {
  timer_.arm(net::Clock::now() + linger_max);
  while (!is_over()) {
    connection_.consume(connection_.unread().size());
    const net::Signal::Bits bits = co_await watch(timer_bit);
    if ((bits & timer_bit) != 0) break;
  }
}

net::Task<bool> Session::read_request() {
  request_.upload.reset();
  if (request_.body.capacity() > idle_capacity_max) std::string().swap(request_.body);
  request_.body.clear();
  request_.body_bytes = 0;
  if (!co_await read_head()) co_return false;
  keep_ = request_.head.keep_alive();
  request_.target = read_target(request_.head.target);

  const auto framing = net::request_framing(request_.head);
  if (const auto* error = std::get_if<net::HeadError>(&framing)) {
    refuse(400, error->reason);
    co_return false;
  }
  if (request_.head.method == "POST" && request_.target.route == Route::files) {
    request_.upload.emplace(request_.head.value_of("content-type"));
  }
  if (!co_await read_body(std::get<net::BodyFraming>(framing))) co_return false;
  arrived_ = net::Clock::now();
  co_return true;
}

net::Task<bool> Session::read_head() {
  const net::HeadLimits limits;
  if (desk_.options.idle_timeout > Duration(0)) {
    timer_.arm(net::Clock::now() + desk_.options.idle_timeout);
  }
  for (;;) {
    while (connection_.unread().starts_with("\r\n")) connection_.consume(2);  // RFC 9112 §2.2
    const auto found = net::find_head_end(connection_.unread(), limits);
    if (const auto* error = std::get_if<net::HeadError>(&found)) {
      refuse(error->kind == net::HeadError::Kind::malformed ? 400 : 431, error->reason);
      co_return false;
    }
    if (const std::size_t size = std::get<std::size_t>(found); size > 0) {
      timer_.disarm();
      signal_.clear(timer_bit);
      request_.head_bytes = connection_.unread().substr(0, size);
      connection_.consume(size);
      if (const auto error = net::parse_request_head(request_.head_bytes, limits, request_.head)) {
        refuse(400, error->reason);
        co_return false;
      }
      co_return true;
    }
    if (!co_await read_more()) co_return false;
  }
}

net::Task<bool> Session::read_body(net::BodyFraming framing) {
  if (framing.kind == net::BodyFraming::Kind::none) co_return true;
  if (framing.length > body_bytes_max && !request_.upload) {
    refuse(413, "the body is larger than the simulated provider takes");
    co_return false;
  }
  if (!request_.upload && framing.kind == net::BodyFraming::Kind::length) {
    request_.body.reserve(static_cast<std::size_t>(framing.length) + body_padding);
  }
  if (connection_.unread().empty() && net::equals_ignoring_case(request_.head.value_of("expect"), "100-continue")) {
    connection_.write("HTTP/1.1 100 Continue\r\n\r\n");
  }
  decoder_ = net::BodyDecoder(framing);
  const std::size_t used = decoder_.feed(connection_.unread(), slices_);
  for (const std::string_view slice : slices_) take_body(slice);
  slices_.clear();
  connection_.consume(used);
  while (!decoder_.complete()) {
    if (decoder_.wrong() || request_.body.size() > body_bytes_max) {
      refuse(decoder_.wrong() ? 400 : 413, "the body is not framed as it should be, or too large");
      co_return false;
    }
    connection_.wire().wait_readable(net::Bell{&signal_, readable_bit});
    watching_ = true;
    const net::Signal::Bits bits = co_await signal_.wait(readable_bit | stop_bit);
    if ((bits & stop_bit) != 0) co_return false;
    watching_ = false;
    std::span<char> read;
    const net::IoStep step = connection_.read_scratch(read);
    if (step.status == net::IoStep::Status::would_block) continue;
    if (step.status != net::IoStep::Status::done) co_return false;
    const std::string_view bytes(read.data(), read.size());
    const std::size_t taken = decoder_.feed(bytes, slices_);
    for (const std::string_view slice : slices_) take_body(slice);
    slices_.clear();
    connection_.keep(bytes.substr(taken));
  }
  co_return true;
}

void Session::take_body(std::string_view bytes) {
  request_.body_bytes += bytes.size();
  if (!request_.upload) {
    request_.body.append(bytes);
    return;
  }
  request_.upload->feed(bytes);
  request_.body.append(bytes.substr(0, upload_kept_max - std::min(upload_kept_max, request_.body.size())));
}

// Reads once, when there is something to read.
net::Task<bool> Session::read_more() {
  for (;;) {
    connection_.wire().wait_readable(net::Bell{&signal_, readable_bit});
    watching_ = true;
    const net::Signal::Bits bits = co_await signal_.wait(readable_bit | stop_bit | timer_bit);
    if ((bits & (stop_bit | timer_bit)) != 0) co_return false;
    watching_ = false;
    const net::IoStep step = connection_.read_more();
    if (step.status == net::IoStep::Status::done) co_return true;
    if (step.status != net::IoStep::Status::would_block) co_return false;
  }
}

// What cannot be a request is answered, and the connection ends: nobody knows where the next one begins.
void Session::refuse(int status, std::string_view reason) {
  const Reply reply = desk_.responder.malformed(status, reason);
  keep_ = false;
  refused_ = true;
  connection_.write(write_head(reply, static_cast<std::int64_t>(reply.body.size())));
  connection_.write(reply.body);
  connection_.wire().shutdown_write();
}

// Waits for the client to leave, for the session to be stopped, or for `also`.
net::Task<net::Signal::Bits> Session::watch(net::Signal::Bits also) {
  if (!watching_ && connection_.unread().size() < pipelined_bytes_max) {
    connection_.wire().wait_readable(net::Bell{&signal_, readable_bit});
    watching_ = true;
  }
  const net::Signal::Bits bits = co_await signal_.wait(readable_bit | stop_bit | also);
  if ((bits & stop_bit) != 0) stopped_ = true;
  if ((bits & readable_bit) != 0) {
    watching_ = false;
    const net::IoStep step = connection_.read_more();
    gone_ = gone_ || step.status == net::IoStep::Status::end || step.status == net::IoStep::Status::failed;
  }
  co_return bits;
}

net::Task<bool> Session::wait_until(net::Instant due) {
  if (due <= net::Clock::now()) co_return !is_over();
  while (!is_over()) {
    timer_.arm(due);
    const net::Signal::Bits bits = co_await watch(timer_bit);
    if ((bits & timer_bit) != 0) break;
  }
  timer_.disarm();
  signal_.clear(timer_bit);
  co_return !is_over();
}

net::Task<bool> Session::drain(Delivery& delivery) {
  delivery.flush();
  while (connection_.has_unflushed() && !is_over()) {
    if (connection_.flush().status != net::IoStep::Status::would_block) continue;
    connection_.wire().wait_writable(net::Bell{&signal_, writable_bit});
    co_await watch(writable_bit);
  }
  co_return !is_over();
}

net::Task<void> Session::stay_silent() {
  while (!is_over()) co_await watch(0);
}

net::Task<void> serve(Desk& desk, std::unique_ptr<net::Wire> wire) {
  Session session(desk, std::move(wire));
  co_await session.run();
}

}  // namespace weir::simulator
