// One client connection: reads request heads, runs an exchange for each, keeps alive or closes. Owns the signal that
// everything the connection waits for rings. Lives and dies on its worker.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "net/connection.hpp"
#include "net/head.hpp"
#include "net/socket_wire.hpp"
#include "net/task.hpp"
#include "proxy/context.hpp"
#include "proxy/error_response.hpp"

namespace weir::proxy {

enum class Door { clients, operators };  // which listener a connection came through

class Session {
 public:
  // The bits of the signal.
  enum Bit : net::Signal::Bits {
    client_in = 1,   // the client sent something, or left
    client_out = 2,  // the client's socket takes bytes again
    upstream_in = 4,
    upstream_out = 8,
    opening = 16,  // an upstream connection being opened made progress
    time = 32,     // the deadline passed
    stop = 64,     // shutdown: finish what is under way, then close
    insist = 128,  // shutdown: end now
    wake = 256,    // an answer from another thread is there
    turn = 512,    // the others of this worker had their turn
  };

  ~Session();

  // The story of a connection, from its acceptance to its end; lets no exception out. `handshaking`: the wire, where
  // there is a handshake to be made first. The session is the coroutine's: one frame for both.
  static net::Task<void> run(WorkerContext& context, std::unique_ptr<net::Wire> wire, Door door,
                             net::TlsWire* handshaking = nullptr);

  WorkerContext& context() { return context_; }
  net::Connection& client() { return client_; }
  net::Signal& signal() { return signal_; }
  net::Bell bell(Bit bit) { return {&signal_, bit}; }
  // The one deadline of whatever the session is doing now: rings `time`.
  void arm(net::Instant deadline) {
    signal_.clear(time);
    timer_.arm(deadline);
  }
  void disarm() {
    timer_.disarm();
    signal_.clear(time);
  }
  const net::RequestHead& head() const { return head_; }
  Door door() const { return door_; }
  net::Instant head_read_at() const { return head_read_at_; }
  // Since when it has been waiting for a request, or for the rest of its head; Instant::max(): it has one.
  net::Instant idle_since() const { return idle_since_; }

  // Waits for one of `bits`, and at the same time for the client to leave and for shutdown to insist. Rings of the
  // client that are only more bytes (pipelining) are taken in and waited over.
  net::Task<net::Signal::Bits> wait(net::Signal::Bits bits);
  // Rings `client_in` when the client sends or leaves; wait() does it itself.
  void watch_client();
  bool client_left() const { return client_left_; }  // FIN, RST, or a write that failed
  void note_left() { client_left_ = true; }
  bool insisted() const { return insisted_; }
  bool gone() const { return client_left_ || insisted_ || client_.write_failed(); }
  // Looks at bits that rang; false when there is no one to go on for.
  bool take_note(net::Signal::Bits bits);

  // Really suspends, behind all that is ready now. Who can go on without waiting for as long as a client likes
  // (pipelined requests, a body as fast as it is read) calls it now and then, or the worker is that client's alone.
  net::Task<void> let_others_run();
  static constexpr int reads_at_once = 16;

  // Writes and waits until the client has taken all of it (or left, or does not drain).
  net::Task<void> write_all(std::string_view bytes);
  // Waits until the client has taken all that was written, or has left, or until then. Who takes nothing for a minute
  // is dropped.
  net::Task<void> drain(net::Instant until);
  net::Task<void> drain_or_drop(net::Instant until);  // the same, and who has not taken it all by then is dropped

  bool keep_alive() const { return keep_alive_; }
  void close_after_this() { keep_alive_ = false; }
  // The same, when the client may still be sending: its bytes are read for a moment so that the answer survives.
  void linger_after_this() { keep_alive_ = false, lingers_ = true; }

 private:
  Session(WorkerContext& context, std::unique_ptr<net::Wire> wire, Door door);
  net::Task<bool> accept_tls(net::TlsWire& tls);
  enum class HeadRead { ready, closed };
  net::Task<HeadRead> read_head();
  net::Task<void> refuse_early(const net::HeadError& error, std::string_view head);
  net::Task<void> refuse_slow_head(std::chrono::milliseconds limit);
  net::Task<void> answer_early(Refusal refusal, protocol::Api shape);
  net::Task<void> linger();

  WorkerContext& context_;
  net::Connection client_;
  Door door_;
  net::Signal signal_;
  net::Timer timer_;
  std::string head_bytes_;
  net::RequestHead head_;
  net::Instant head_read_at_{};
  net::Instant idle_since_ = net::Instant::max();
  bool keep_alive_ = true;
  bool client_left_ = false;
  bool insisted_ = false;
  bool lingers_ = false;
  int at_once_ = 0;  // requests that were there already when the one before them was answered, in a row
};

// Serves one accepted connection in the background; the handshake first where the listener has TLS.
void serve_connection(WorkerContext& context, net::Socket socket, const net::SslContextPtr& tls, Door door);

// Shutdown of all sessions of a worker: `stop` ends idle ones and lets the others finish, `insist` ends them.
void ring_sessions(WorkerContext& context, Session::Bit bit);

}  // namespace weir::proxy
