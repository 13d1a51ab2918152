// Wires over real sockets: plain TCP, and TLS on top of it (OpenSSL on the descriptor, so that TLS shares the
// synchronous-first path and its buffers are released while a connection is idle).
#pragma once

#include <openssl/ssl.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>

#include "net/wire.hpp"

namespace weir::net {

using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

struct SslDeleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslPtr = std::unique_ptr<SSL, SslDeleter>;
using SslContextPtr = std::shared_ptr<SSL_CTX>;

// A connected socket as a wire; sets TCP_NODELAY and non-blocking.
std::unique_ptr<Wire> make_socket_wire(Socket socket);

// TLS over a connected socket. The handshake is driven by handshake().
class TlsWire : public Wire {
 public:
  enum class Role { client, server };
  // One step of the handshake: done, would_block (then wait as `wants_write` says), failed, end.
  virtual IoStep handshake() = 0;
  virtual bool wants_write() const = 0;
  // After failed: for a reason that the next handshake will meet too.
  virtual bool failed_for_good() const = 0;
};

// `server_name`: sent as SNI and checked against the certificate (client role; an address is checked as one).
std::unique_ptr<TlsWire> make_tls_wire(Socket socket, const SslContextPtr& context, TlsWire::Role role,
                                       const std::string& server_name);

// Takes the plain socket back out of a wire made by make_socket_wire (to put TLS on it after a CONNECT).
Socket release_socket(std::unique_ptr<Wire> wire);

// `ca_file` empty: the system's trust store. verify false: any certificate. Throws std::runtime_error.
SslContextPtr make_client_tls(const std::string& ca_file, bool verify);
SslContextPtr make_server_tls(const std::string& certificate_file, const std::string& key_file);

}  // namespace weir::net
