#include "proxy/session.hpp"

#include <algorithm>
#include <exception>

#include "proxy/exchange.hpp"
#include "proxy/operator_api.hpp"
#include "proxy/route.hpp"

namespace weir::proxy {
namespace {

using net::Clock;
using net::IoStep;

// Pipelined bytes taken in while an exchange runs; beyond it reading stops until they are used, and only the client's
// leaving is waited for.
constexpr std::size_t pipelined_bytes_max = 64 * 1024;
// A client that takes nothing for so long while there is something to write is dropped: its buffers are ours.
constexpr std::chrono::seconds client_stall_max{60};
// Nor may one take an answer of weir's own byte by byte for ever.
constexpr std::chrono::minutes own_answer_max{10};
// After an early answer the client may still be sending; closing at once would reset the connection and could destroy
// the answer on its way. So it is read on for a moment.
constexpr std::chrono::milliseconds linger_max{2000};
constexpr std::size_t linger_bytes_max = 16u << 20;
// Before a request; RFC 9112 §2.2 speaks of one, left behind by the body of the request before.
constexpr int empty_lines_max = 4;
constexpr int requests_at_once = 32;

// No memory for a body, say: this connection is given up, the others go on.
void give_up(WorkerContext& context, const std::exception& error) {
  context.shared.log.error(std::string("a connection was given up: ") + error.what());
}

// `tls`: set where there is a handshake to be made.
std::unique_ptr<net::Wire> make_wire(net::Socket socket, const net::SslContextPtr& context, net::TlsWire*& tls) {
  if (!context) return net::make_socket_wire(std::move(socket));
  auto wire = net::make_tls_wire(std::move(socket), context, net::TlsWire::Role::server, {});
  tls = wire.get();
  return wire;
}

}  // namespace

Session::Session(WorkerContext& context, std::unique_ptr<net::Wire> wire, Door door)
    : context_(context),
      client_(context.worker, std::move(wire)),
      door_(door),
      timer_(context.worker.timers(), net::Bell{&signal_, time}) {
  context_.sessions.push_back(this);
  if (door_ == Door::clients) context_.clients.add();
}

Session::~Session() {
  auto& sessions = context_.sessions;
  const auto self = std::find(sessions.begin(), sessions.end(), this);
  *self = sessions.back();
  sessions.pop_back();
  if (door_ == Door::clients) context_.clients.subtract();
}

void Session::watch_client() {
  if (client_.unread().size() < pipelined_bytes_max) {
    client_.wire().wait_readable(bell(client_in));
  } else {
    client_.wire().wait_hangup(bell(client_in));
  }
}

bool Session::take_note(net::Signal::Bits bits) {
  if (bits & insist) insisted_ = true;
  if (bits & client_in) {
    for (;;) {
      if (client_.unread().size() >= pipelined_bytes_max) {
        if (client_.wire().hung_up()) client_left_ = true;
        break;
      }
      const IoStep step = client_.read_more();
      if (step.status == IoStep::Status::done) continue;
      if (step.status != IoStep::Status::would_block) client_left_ = true;
      break;
    }
    if (!client_left_) watch_client();
  }
  return !gone();
}

net::Task<net::Signal::Bits> Session::wait(net::Signal::Bits bits) {
  watch_client();
  for (;;) {
    const net::Signal::Bits rang = co_await signal_.wait(bits | client_in | insist);
    if ((rang & (client_in | insist)) != 0 && !take_note(rang)) co_return rang;
    if ((rang & bits) != 0) co_return rang& bits;
  }
}

net::Task<void> Session::let_others_run() {
  // The post may come when this is gone.
  struct Place {
    std::shared_ptr<net::Bell> bell;
    ~Place() { *bell = net::Bell{}; }
  };
  const Place place{std::make_shared<net::Bell>(bell(turn))};
  context_.worker.post([posted = place.bell] { posted->ring(); });
  co_await signal_.wait(turn);
}

net::Task<void> Session::drain(net::Instant until) {
  std::uint64_t seen = client_.bytes_written();
  net::Instant stalls_at = Clock::now() + client_stall_max;
  arm(std::min(stalls_at, until));
  while (client_.has_unflushed() && !gone()) {
    const IoStep step = client_.flush();
    if (step.status == IoStep::Status::done) break;
    if (step.status != IoStep::Status::would_block) break;
    if (client_.bytes_written() != seen) {
      seen = client_.bytes_written();
      stalls_at = Clock::now() + client_stall_max;
      arm(std::min(stalls_at, until));
    }
    client_.wire().wait_writable(bell(client_out));
    co_await wait(client_out | time);
    const net::Instant now = Clock::now();
    if (now >= until) break;
    if (now >= stalls_at) client_left_ = true;
  }
  disarm();
}

net::Task<void> Session::drain_or_drop(net::Instant until) {
  co_await drain(until);
  if (client_.has_unflushed() && Clock::now() >= until) client_left_ = true;
}

net::Task<void> Session::write_all(std::string_view bytes) {
  client_.write(bytes);
  if (client_.has_unflushed()) co_await drain_or_drop(Clock::now() + own_answer_max);
}

net::Task<Session::HeadRead> Session::read_head() {
  // Copies: a reload may replace the snapshot while this waits.
  const BodyLimits sizes = context_.snapshot->settings->limits;
  const ClientTimeouts timeouts = context_.snapshot->settings->client_timeouts;
  const net::HeadLimits limits{sizes.header_bytes_max, sizes.header_count_max};
  bool begun = !client_.unread().empty();
  bool answered = head_read_at_ != net::Instant();  // a request before this one, on this connection
  bool stops = false;
  int empty_lines = 0, reads = 0;
  net::HeadScan scan;
  at_once_ = begun && answered ? at_once_ + 1 : 0;
  if (at_once_ >= requests_at_once) {
    at_once_ = 0;
    co_await let_others_run();
  }
  idle_since_ = Clock::now();
  arm(idle_since_ + (begun ? timeouts.header : timeouts.idle));
  for (;;) {
    // RFC 9112 §2.2: an empty line before a request is skipped.
    for (; client_.unread().starts_with("\r\n"); client_.consume(2)) {
      if (++empty_lines <= empty_lines_max) continue;
      const net::HeadError error{net::HeadError::Kind::malformed, "too many empty lines before the request"};
      co_await refuse_early(error, {});
      co_return HeadRead::closed;
    }
    if (!client_.unread().empty()) {
      const auto end = net::find_head_end(client_.unread(), limits, scan);
      if (const auto* error = std::get_if<net::HeadError>(&end)) {
        co_await refuse_early(*error, client_.unread());
        co_return HeadRead::closed;
      }
      if (const std::size_t size = std::get<std::size_t>(end); size > 0) {
        head_bytes_.assign(client_.unread().substr(0, size));
        client_.consume(size);
        disarm();
        head_read_at_ = Clock::now();
        if (const auto error = net::parse_request_head(head_bytes_, limits, head_)) {
          co_await refuse_early(*error, head_bytes_);
          co_return HeadRead::closed;
        }
        co_return HeadRead::ready;
      }
      if (!begun) {
        begun = true;
        arm(Clock::now() + timeouts.header);
      }
    }
    // Who has just been answered has said nothing more yet: that look would be in vain.
    if (begun || !answered) {
      if (++reads % reads_at_once == 0) co_await let_others_run();
      const IoStep step = client_.read_more();
      if (step.status == IoStep::Status::done) continue;
      if (step.status != IoStep::Status::would_block || stops) co_return HeadRead::closed;
    }
    client_.wire().wait_readable(bell(client_in));
    const net::Signal::Bits rang = co_await signal_.wait(client_in | time | stop | insist);
    answered = false;
    if (rang & insist) co_return HeadRead::closed;
    // A head that is not here by now will not be waited for; one that has come is answered.
    stops = (rang & stop) != 0;
    if (stops) continue;
    if ((rang & time) != 0) {
      if (begun) {
        co_await refuse_slow_head(timeouts.header);
      }
      co_return HeadRead::closed;
    }
  }
}

// Plain functions, so that the frame of a connection that waits for its next request has no room for a refusal.
// `head`: as much of it as there is.
net::Task<void> Session::refuse_early(const net::HeadError& error, std::string_view head) {
  return answer_early(refuse_head(error), shape_of_head(head));
}

net::Task<void> Session::refuse_slow_head(std::chrono::milliseconds limit) {
  return answer_early(refuse_slow("header", limit), shape_of_head(client_.unread()));
}

net::Task<void> Session::answer_early(Refusal refusal, protocol::Api shape) {
  linger_after_this();
  const std::string id = context_.shared.mint_id();
  const std::string_view call = door_ == Door::clients ? "x-weir-queue-ms: 0\r\n" : "";
  const std::string answer = write_refusal(refusal, shape, id, false, false, call);
  co_await write_all(answer);
  observe::ExchangeRecord record;
  record.request_id = id;
  record.status = refusal.status;
  record.error = refusal.code;
  record.detail = refusal.message;
  record.outcome = "refused";
  record.address = client_.wire().peer_address();
  context_.shared.log.exchange(record);
  if (door_ == Door::clients) context_.shared.metrics.refused_unread(record.error);
}

net::Task<void> Session::linger() {
  if (gone()) co_return;
  client_.wire().shutdown_write();
  arm(Clock::now() + linger_max);
  std::size_t read = 0;
  for (int reads = 1; read < linger_bytes_max; ++reads) {
    if (reads % reads_at_once == 0) co_await let_others_run();
    std::span<char> bytes;
    const IoStep step = client_.read_scratch(bytes);
    if (step.status == IoStep::Status::done) {
      read += bytes.size();
      continue;
    }
    if (step.status != IoStep::Status::would_block) co_return;
    client_.wire().wait_readable(bell(client_in));
    const net::Signal::Bits rang = co_await signal_.wait(client_in | time | insist);
    if ((rang & (time | insist)) != 0) co_return;
  }
}

net::Task<bool> Session::accept_tls(net::TlsWire& tls) {
  arm(Clock::now() + context_.snapshot->settings->client_timeouts.header);
  for (;;) {
    const IoStep step = tls.handshake();
    if (step.status == IoStep::Status::done) break;
    if (step.status != IoStep::Status::would_block) co_return false;
    if (tls.wants_write()) {
      tls.wait_writable(bell(client_out));
    } else {
      tls.wait_readable(bell(client_in));
    }
    const net::Signal::Bits rang = co_await signal_.wait(client_in | client_out | time | stop | insist);
    if ((rang & (time | stop | insist)) != 0) co_return false;
  }
  disarm();
  co_return true;
}

net::Task<void> Session::run(WorkerContext& context, std::unique_ptr<net::Wire> wire, Door door,
                             net::TlsWire* handshaking) {
  try {
    Session session(context, std::move(wire), door);
    bool more = true;
    if (handshaking) more = co_await session.accept_tls(*handshaking);
    while (more) {
      const HeadRead read = co_await session.read_head();
      session.idle_since_ = net::Instant::max();
      if (read != HeadRead::ready) break;
      // HTTP/1.0 would want to be told that it is kept.
      session.keep_alive_ = session.head_.version >= 11 && session.head_.keep_alive();
      if (door == Door::clients) {
        co_await run_exchange(session);
      } else {
        co_await serve_operator(session);
      }
      session.head_.clear();
      if (context.shared.draining) session.keep_alive_ = false;
      more = session.keep_alive_ && !session.gone();
    }
    if (session.lingers_) co_await session.linger();
  } catch (const std::exception& error) {
    give_up(context, error);
  }
}

void serve_connection(WorkerContext& context, net::Socket socket, const net::SslContextPtr& tls, Door door) {
  try {
    net::TlsWire* handshaking = nullptr;
    auto wire = make_wire(std::move(socket), tls, handshaking);
    net::spawn(Session::run(context, std::move(wire), door, handshaking));
  } catch (const std::exception& error) {
    give_up(context, error);
  }
}

void ring_sessions(WorkerContext& context, Session::Bit bit) {
  // Ringing one may end it and others: go by a copy, and only to those that are still there.
  const std::vector<Session*> sessions = context.sessions;
  for (Session* session : sessions) {
    const auto& live = context.sessions;
    if (std::find(live.begin(), live.end(), session) != live.end()) session->signal().raise(bit);
  }
}

}  // namespace weir::proxy
