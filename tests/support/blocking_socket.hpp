// A blocking TCP (or TLS) socket for tests. Every wait has a limit, so that a failing test fails instead of hanging:
// what does not come in time is a thrown TimedOut, which GoogleTest reports as a failure. Not for production code.
#pragma once

#include <openssl/types.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace weir::test {

using namespace std::chrono_literals;

struct SocketError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct TimedOut : SocketError {
  using SocketError::SocketError;
};
// The peer reset the connection.
struct ConnectionReset : SocketError {
  using SocketError::SocketError;
};

constexpr std::chrono::milliseconds patience = 20s;

class BlockingSocket {
 public:
  BlockingSocket() = default;
  explicit BlockingSocket(int fd);
  BlockingSocket(BlockingSocket&& other) noexcept;
  BlockingSocket& operator=(BlockingSocket&& other) noexcept;
  ~BlockingSocket();

  // `receive_buffer`: a small one makes the other side's writes block early; 0: the system's choice.
  static BlockingSocket connect(std::uint16_t port, const std::string& address = "127.0.0.1", int receive_buffer = 0);

  // Handshakes as the client (checking nothing unless the context says so) or as the server.
  void start_tls_client(SSL_CTX* context, const std::string& server_name);
  void start_tls_server(SSL_CTX* context);
  SSL* tls() const { return ssl_; }

  void send(std::string_view bytes);
  // What is there, waiting for the first of it; "" at the end of the stream.
  std::string receive(std::chrono::milliseconds limit = patience);

  // Whether receive() would return (bytes, the end, a reset) within this time.
  bool readable(std::chrono::milliseconds limit) const;
  bool writable(std::chrono::milliseconds limit) const;

  void shutdown_write();
  // From another thread: makes every wait on this socket end.
  void interrupt() const;
  void reset();
  void close();
  // Closes without TLS's goodbye: the peer sees a stream that was cut.
  void close_without_goodbye();
  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  std::uint16_t local_port() const;

 private:
  int fd_ = -1;
  SSL* ssl_ = nullptr;
};

}  // namespace weir::test
