// HTTP/1.1 messages as tests see them: read from a BlockingSocket by a reader of its own, which shares no code with the
// server and says how the message ended. Strict: bytes that are no HTTP are a thrown std::runtime_error showing them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/blocking_socket.hpp"

namespace weir::test {

struct HttpMessage {
  enum class Ending { complete, truncated, reset };

  std::string head;  // as sent, with its empty line
  std::string start_line;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;                 // without the chunk framing
  std::string raw_body;             // with it
  std::vector<std::string> chunks;  // of a chunked body
  Ending ending = Ending::complete;

  // Compiled once, not in every file of tests.
  HttpMessage();
  HttpMessage(const HttpMessage&);
  HttpMessage(HttpMessage&&) noexcept;
  HttpMessage& operator=(const HttpMessage&);
  HttpMessage& operator=(HttpMessage&&) noexcept;
  ~HttpMessage();

  bool complete() const { return ending == Ending::complete; }

  // Of a response.
  int status() const;
  // Of a request.
  std::string method() const;
  std::string target() const;

  // The value of the first field of this name (any case); "" without one.
  std::string field(std::string_view name) const;
  std::size_t count(std::string_view name) const;
};

// Reads messages one after the other from a socket; what belongs to the next one is kept.
class MessageReader {
 public:
  explicit MessageReader(BlockingSocket& socket) : socket_(socket) {}

  // Everything received so far, framing and all.
  const std::string& received() const { return received_; }
  // Received and not read yet.
  std::string_view unread() const { return std::string_view(received_).substr(at_); }

  // False when the stream ends (or breaks) before the first byte of a request.
  bool read_request(HttpMessage& message);
  // `to_method`: of the request that it answers, since a response to HEAD has no body.
  HttpMessage read_response(std::string_view to_method = "GET");

  std::string read_until(std::string_view marker);
  std::string read_exactly(std::size_t bytes);
  // To the end of the stream; a reset ends it too (then broken() is true).
  std::string read_to_end();
  bool broken() const { return broken_; }

 private:
  bool more();
  std::string take(std::size_t bytes);
  [[noreturn]] void fail(const std::string& why) const;
  void read_head(HttpMessage& message);
  void read_body(HttpMessage& message, bool until_close);
  bool read_chunks(HttpMessage& message);  // false when the stream ended first
  bool read_line(std::string& line);

  BlockingSocket& socket_;
  std::string received_;
  std::size_t at_ = 0;
  bool broken_ = false;
};

}  // namespace weir::test
