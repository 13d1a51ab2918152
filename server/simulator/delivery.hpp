// Puts an answer's bytes on a connection: chunk framing, line ends, and the ways of cutting them that tests ask for.
// What the socket does not take stays in the connection; the session waits for it. Single-threaded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/connection.hpp"
#include "simulator/behaviour.hpp"

namespace weir::simulator {

class Delivery {
 public:
  enum class Framing { raw, chunked };  // raw: by length or until the connection closes

  Delivery(net::Connection& connection, const Cutting& cutting, bool crlf)
      : connection_(connection), cutting_(cutting), crlf_(crlf) {}

  // Appends the head; from then on the body is framed so.
  void head(std::string_view head, Framing framing);
  // Appends one piece of the body: an event, or a slice of a document.
  void body(std::string_view piece);
  // Appends the end of the body.
  void finish();
  // Hands everything appended so far to the connection.
  void flush();

  bool has_pending() const { return !out_.empty() || !merged_.empty(); }

 private:
  void frame(std::string_view bytes);

  // As many events as `merge` puts into one chunk.
  static constexpr unsigned merged_max = 4;

  net::Connection& connection_;
  Cutting cutting_;
  bool crlf_;
  Framing framing_ = Framing::raw;
  std::string out_;     // framed
  std::string merged_;  // events for the next chunk
  unsigned merged_count_ = 0;
};

}  // namespace weir::simulator
