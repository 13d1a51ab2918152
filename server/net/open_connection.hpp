// A new connection to an upstream: name, TCP, an HTTP proxy's tunnel, TLS, each within its time. Knows HTTP/1.1 only as
// far as CONNECT.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "net/connection.hpp"
#include "net/failure.hpp"
#include "net/http_proxy.hpp"
#include "net/resolver.hpp"
#include "net/socket_wire.hpp"
#include "net/task.hpp"

namespace weir::net {

// Where an upstream is and how to get there. Compared by `key`: two settings with one key share connections.
struct Endpoint {
  std::string host;  // without brackets
  std::uint16_t port = 443;
  SslContextPtr tls;  // null: plain
  std::optional<ProxyHop> proxy;
  std::string key;
  std::chrono::milliseconds connect_max{5'000};  // name, TCP and a proxy's answer together
  std::chrono::milliseconds tls_max{5'000};      // the handshake
};

// What an attempt to open a connection may use of its exchange, and how it learns that nobody wants it any more.
struct OpenContext {
  Signal& signal;
  Signal::Bits progress;  // rung by resolver, socket and timer of the attempt
  Signal::Bits watch;     // when one of these rings, still_wanted is asked
  std::function<bool(Signal::Bits)> still_wanted;
};

// Failure with origin upstream (internal: this machine had nothing left to open one with), or cancelled when it was not
// wanted any more. REQUIRES: `endpoint` outlives the task.
Task<std::variant<std::unique_ptr<Connection>, Failure>> open_connection(Worker& worker, Resolver& resolver,
                                                                         const Endpoint& endpoint, OpenContext context);

}  // namespace weir::net
