// The client's side of one answer: head, framing, end. Knows whether anything irrevocable has been said. One write for
// everything that goes out together; what the socket does not take is kept and awaited (back-pressure).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "net/body_decoder.hpp"
#include "net/task.hpp"
#include "proxy/session.hpp"

namespace weir::proxy {

class Downstream {
 public:
  explicit Downstream(Session& session) : session_(session), bytes_before_(session.client().bytes_written()) {}

  // Keeps the head until the first bytes of the body (or the end) take it along in their write.
  void begin(std::string head, const net::BodyFraming& framing);
  bool begun() const { return begun_; }
  // The head that has begun says that there will be trailers; without it none are sent.
  void promise_trailers() { trailers_ = std::make_unique<std::string>(); }
  bool promises_trailers() const { return trailers_ != nullptr; }
  // Whole lines for the end of a chunked body; the last ones given count.
  void set_trailers(std::string lines) {
    if (trailers_) *trailers_ = std::move(lines);
  }
  void add_trailer(std::string_view name, std::string_view value);
  bool committed() const { return committed_; }  // bytes have gone out: the status cannot be taken back

  enum class End { open, complete };
  // Body data, in one write with the head if that is still here and with the end of the body if this is all.
  void send(std::span<const std::string_view> data, End end);
  // The rest of what is due, without more data.
  void finish() { send({}, End::complete); }
  bool finished() const { return finished_; }

  // The client has not taken all that was sent.
  bool must_drain() const { return session_.client().has_unflushed(); }

  // Ends the connection so that the client sees a broken answer, never a complete one.
  void break_off();

  std::uint64_t bytes_sent() const { return session_.client().bytes_written() - bytes_before_; }

 private:
  Session& session_;
  std::uint64_t bytes_before_;
  std::string head_;
  std::unique_ptr<std::string> trailers_;  // promised; few clients ask for them
  net::BodyFraming framing_;
  bool begun_ = false, committed_ = false, finished_ = false;
};

}  // namespace weir::proxy
