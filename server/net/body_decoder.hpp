// Takes the body out of the bytes of a connection: by length, by chunks (strictly), or until the end. Data comes out as
// slices of the bytes fed in: nothing is copied, nothing is kept. Pure; one per message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "net/head.hpp"

namespace weir::net {

class BodyDecoder {
 public:
  BodyDecoder() = default;
  explicit BodyDecoder(BodyFraming framing);

  // Consumes bytes of the body and appends its data to `out`. Returns how many bytes were consumed; less than all only
  // when the body is complete (the rest belongs to the next message) or wrong.
  std::size_t feed(std::string_view bytes, std::vector<std::string_view>& out);

  bool complete() const { return state_ == State::complete; }
  bool wrong() const { return state_ == State::wrong; }  // broken chunk framing
  bool ends_with_connection() const { return framing_.kind == BodyFraming::Kind::until_close; }
  std::uint64_t remaining() const { return remaining_; }  // of a body by length
  const BodyFraming& framing() const { return framing_; }

 private:
  enum class State {
    data,        // remaining_ bytes of data, or all bytes when until_close
    size,        // hexadecimal digits of a chunk size
    size_space,  // white space after it: an extension or the end of the line must follow
    extension,   // after ';' up to CR; ignored, its length bounded
    size_lf,     // LF after a size line
    data_cr,     // CR after a chunk's data
    data_lf,
    trailer,  // a line of the trailer section; dropped, its length bounded
    trailer_lf,
    complete,
    wrong,
  };
  // Long enough for any signature somebody puts there, short enough not to be a way to send without sending. Data pays
  // for it: a chunk's bytes, and 16 more, are taken off what has been used.
  static constexpr std::size_t extension_bytes_max = 4096;
  static constexpr std::size_t trailer_bytes_max = 16 * 1024;

  BodyFraming framing_;
  State state_ = State::complete;
  std::uint64_t remaining_ = 0;
  unsigned digits_ = 0;
  std::size_t extra_bytes_ = 0;  // of extensions and trailers, as far as not paid for
  std::size_t line_bytes_ = 0;   // of the current trailer line
};

// "1f4\r\n" for a chunk of this size, written into `space`; returns the view of it.
struct ChunkHeader {
  char text[18];
  std::string_view write(std::size_t size);
};

}  // namespace weir::net
