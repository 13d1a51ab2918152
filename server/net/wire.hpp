// One seam to the sockets: bytes in and out of one connection, with readiness by bell. Implemented by a plain socket,
// by TLS, and by an in-memory pair for tests. Everything above (sessions, pool, relay) is written over it. Writes and
// reads are tried synchronously first; only "would block" leads to a wait, so the usual event costs one system call in
// and one out. Single-threaded: a wire lives and dies on its worker.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "net/signal.hpp"

namespace weir::net {

struct IoStep {
  enum class Status { done, would_block, end, failed };
  Status status = Status::done;
  std::size_t bytes = 0;  // with done: how many, never 0
};

class Wire {
 public:
  virtual ~Wire() = default;

  virtual IoStep try_read(std::span<char> into) = 0;

  // Writes as much of the pieces as fits, but for the first `from` bytes of the first piece, which are written already.
  // After a write that would block, or that took less than there was, the next has to begin with all that is left: TLS
  // wants to be given again what it has not taken. REQUIRES: at least one byte to write, and `from` within the first.
  virtual IoStep try_write(std::span<const std::string_view> pieces, std::size_t from) = 0;
  IoStep try_write(std::span<const std::string_view> pieces) { return try_write(pieces, 0); }

  // Ring once when a read (write) would make progress; also on end and on failure. Asking again while asked replaces
  // the bell. A closed or destroyed wire rings nothing more.
  virtual void wait_readable(Bell bell) = 0;
  virtual void wait_writable(Bell bell) = 0;
  // Rings once when the peer has ended or reset its side, even if bytes stand unread before that (which wait_readable
  // would ring for).
  virtual void wait_hangup(Bell bell) = 0;
  virtual bool hung_up() const = 0;
  // Rings nothing any more of what was asked for: whoever waited is done with this wire.
  virtual void drop_bells() = 0;

  // Ends the connection now. `orderly`: say goodbye first where the protocol has one (TLS close_notify, FIN).
  virtual void close() = 0;
  // Closes so that the peer sees a reset, not an end: what was sent is known to be incomplete.
  virtual void abort() = 0;
  // Sends FIN but leaves reading possible.
  virtual void shutdown_write() = 0;

  virtual std::string peer_address() const = 0;          // without the port; for lanes and logs
  virtual std::string error_text() const { return {}; }  // after failed: what the system said
};

}  // namespace weir::net
