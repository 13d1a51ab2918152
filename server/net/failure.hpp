// What can go wrong with bytes, where it came from, and whether anything may have been processed: set where the failure
// is born, so that nobody has to guess later from an error code.
#pragma once

#include <string>

namespace weir::net {

struct Failure {
  enum class Origin { none, downstream, upstream, internal };
  enum class Kind {
    none,
    resolve,  // the name has no address
    connect,  // refused, unreachable
    connect_timeout,
    proxy,  // the HTTP proxy said no
    tls,    // handshake or certificate
    tls_timeout,
    reset,      // the connection broke
    invalid,    // bytes that are not the protocol
    truncated,  // a clean end before the end
    timeout,    // a deadline of the exchange passed
    closed,     // the peer ended the connection in good order
    cancelled,  // weir gave up: shutdown, or the other side left
  };

  Origin origin = Origin::none;
  Kind kind = Kind::none;
  bool connection_reused = false;  // on a kept-alive connection: the peer may simply have closed it meanwhile
  bool request_sent = false;       // the whole request had been written
  bool response_begun = false;     // bytes of a response had arrived
  bool lasting = false;            // the next connection will meet it too: a certificate, a port without TLS
  std::string detail;              // in words, for the log and the answer; never a secret

  explicit operator bool() const { return kind != Kind::none; }
};

}  // namespace weir::net
