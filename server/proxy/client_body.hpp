// The body of a client's request: read whole into a buffer of its own (JSON routes), with simdjson's padding from the
// start and without zero-filling, or passed on piece by piece (everything else).
#pragma once

#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>

#include "net/body_decoder.hpp"
#include "net/task.hpp"
#include "proxy/body_room.hpp"
#include "proxy/error_response.hpp"
#include "proxy/session.hpp"

namespace weir::proxy {

// Bytes that grow without being cleared and are always followed by readable padding.
class BodyBuffer {
 public:
  std::string_view view() const { return {data_.get(), size_}; }
  std::size_t size() const { return size_; }
  void append(std::string_view bytes);
  // Room for `bytes` more, to be read into directly; then commit() what came.
  std::span<char> room(std::size_t bytes);
  // Some of it for a body of which so many bytes are to come in all: memory follows what has come.
  std::span<char> room_within(std::size_t bytes_in_all);
  void commit(std::size_t bytes) { size_ += bytes; }

 private:
  struct Free {
    void operator()(char* data) const { std::free(data); }
  };
  void reserve(std::size_t capacity);
  std::unique_ptr<char, Free> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;  // without the padding
};

class ClientBody {
 public:
  ClientBody(Session& session, const net::BodyFraming& framing, const BodyLimits& limits);

  // Reads all of it, which `claim` counts; a refusal when it is malformed, too large or too slow, or when all together
  // are too large; nothing when the session is gone.
  net::Task<MaybeRefusal> read_whole(BodyBuffer& into, BodyRoom::Claim& claim);

  // The next piece, decoded; valid until the next await. Empty: there is no more (see complete()) or a refusal is set.
  net::Task<std::string_view> next_piece(MaybeRefusal& refusal);

  bool complete() const { return decoder_.complete(); }
  std::uint64_t bytes_read() const { return bytes_read_; }
  // Tells a client that said it would wait (Expect: 100-continue) to go on, unless its body is coming already.
  void invite();

 private:
  void begin_wait();
  void end_wait();
  MaybeRefusal refuse_size(std::uint64_t bytes) const;
  bool is_time_for_others() { return ++reads_ % Session::reads_at_once == 0; }

  Session& session_;
  net::BodyDecoder decoder_;
  std::size_t bytes_max_, together_max_;
  std::uint64_t bytes_read_ = 0;
  int reads_ = 0;
  std::chrono::milliseconds limit_;
  net::Clock::duration waited_{};  // for the client; time that an upstream took is not the client's
  net::Instant waiting_since_;
  std::optional<net::Instant> shutdown_ends_at_;  // no longer than so, since shutdown has begun
  std::string piece_;                             // a chunk's worth of a chunked upload
};

}  // namespace weir::proxy
