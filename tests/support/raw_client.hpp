// A client that sends exactly the bytes it is told to. Blocking, every wait limited (support/blocking_socket.hpp): run
// the server on another thread.
//
//   RawClient client(port);
//   client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
//   const HttpMessage answer = client.read_response();
//   EXPECT_EQ(answer.status(), 200);
//   client.end();                      // half close: the server reads an end and may still answer
//   EXPECT_TRUE(client.sees_end());
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "support/blocking_socket.hpp"
#include "support/http_message.hpp"

namespace weir::test {

class RawClient {
 public:
  // `receive_buffer`: small (4096, say) to make the server feel back-pressure early.
  explicit RawClient(std::uint16_t port, const std::string& address = "127.0.0.1", int receive_buffer = 0);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // From here on everything is encrypted. The context decides what is verified.
  void start_tls(SSL_CTX* context, const std::string& server_name) { socket_.start_tls_client(context, server_name); }

  void send(std::string_view bytes) { socket_.send(bytes); }
  // One system call per piece of this size, so that the server is likely to read it in pieces.
  void send_in_pieces(std::string_view bytes, std::size_t size);

  HttpMessage read_response(std::string_view to_method = "GET") { return reader_.read_response(to_method); }
  // The head alone, for streams: read on with read_until.
  std::string read_head() { return reader_.read_until("\r\n\r\n"); }
  std::string read_until(std::string_view marker) { return reader_.read_until(marker); }
  std::string read_exactly(std::size_t bytes) { return reader_.read_exactly(bytes); }
  std::string read_to_end() { return reader_.read_to_end(); }
  std::string request(std::string_view bytes);

  // The server has closed, in good order and without another byte; waits for it.
  bool sees_end();
  bool sees_reset();
  // Nothing arrives for this long. Only for "stays silent" checks, kept short.
  bool silent_for(std::chrono::milliseconds time);

  void end() { socket_.shutdown_write(); }
  void reset() { socket_.reset(); }
  void close() { socket_.close(); }
  std::uint16_t local_port() const { return socket_.local_port(); }
  BlockingSocket& socket() { return socket_; }

 private:
  BlockingSocket socket_;
  MessageReader reader_;
};

}  // namespace weir::test
