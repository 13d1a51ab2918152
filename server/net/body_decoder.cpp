#include "net/body_decoder.hpp"

#include <algorithm>
#include <charconv>

#include "net/hex.hpp"

namespace weir::net {

BodyDecoder::BodyDecoder(BodyFraming framing) : framing_(framing), remaining_(framing.length) {
  switch (framing.kind) {
    case BodyFraming::Kind::none:
      state_ = State::complete;
      break;
    case BodyFraming::Kind::length:
      state_ = framing.length > 0 ? State::data : State::complete;
      break;
    case BodyFraming::Kind::until_close:
      state_ = State::data;
      break;
    case BodyFraming::Kind::chunked:
      state_ = State::size;
      remaining_ = 0;
      break;
  }
}

std::size_t BodyDecoder::feed(std::string_view bytes, std::vector<std::string_view>& out) {
  std::size_t at = 0;
  while (at < bytes.size() && state_ != State::complete && state_ != State::wrong) {
    if (state_ == State::data) {
      const bool open_end = framing_.kind == BodyFraming::Kind::until_close;
      const std::size_t left = bytes.size() - at;
      const std::size_t take = open_end ? left : static_cast<std::size_t>(std::min<std::uint64_t>(left, remaining_));
      out.push_back(bytes.substr(at, take));
      at += take;
      if (open_end) continue;
      remaining_ -= take;
      if (remaining_ == 0) state_ = framing_.kind == BodyFraming::Kind::chunked ? State::data_cr : State::complete;
      continue;
    }
    const char c = bytes[at++];
    switch (state_) {
      case State::size: {
        const int value = hex_value(c);
        if (value >= 0) {
          // 15 digits cannot overflow 64 bits, and no chunk is that large.
          if (++digits_ > 15) state_ = State::wrong;
          remaining_ = remaining_ * 16 + static_cast<std::uint64_t>(value);
        } else if (digits_ == 0) {
          state_ = State::wrong;
        } else if (c == '\r') {
          state_ = State::size_lf;
        } else if (c == ';') {
          state_ = State::extension;
        } else {
          state_ = c == ' ' || c == '\t' ? State::size_space : State::wrong;
        }
        break;
      }
      case State::size_space:
        if (c == '\r') {
          state_ = State::size_lf;
        } else if (c == ';') {
          state_ = State::extension;
        } else if ((c != ' ' && c != '\t') || ++extra_bytes_ > extension_bytes_max) {
          state_ = State::wrong;
        }
        break;
      case State::extension:
        if (c == '\r') {
          state_ = State::size_lf;
        } else if (c == '\n' || ++extra_bytes_ > extension_bytes_max) {
          state_ = State::wrong;
        }
        break;
      case State::size_lf:
        if (c != '\n') {
          state_ = State::wrong;
        } else if (remaining_ > 0) {
          state_ = State::data;
          extra_bytes_ -= static_cast<std::size_t>(std::min<std::uint64_t>(extra_bytes_, remaining_ + 16));
        } else {
          state_ = State::trailer;
          line_bytes_ = 0;
        }
        digits_ = 0;
        break;
      case State::data_cr:
        state_ = c == '\r' ? State::data_lf : State::wrong;
        break;
      case State::data_lf:
        state_ = c == '\n' ? State::size : State::wrong;
        break;
      case State::trailer:
        if (c == '\r') {
          state_ = State::trailer_lf;
        } else if (c == '\n' || ++extra_bytes_ > trailer_bytes_max) {
          state_ = State::wrong;
        } else {
          ++line_bytes_;
        }
        break;
      case State::trailer_lf:
        if (c != '\n') {
          state_ = State::wrong;
        } else {
          state_ = line_bytes_ == 0 ? State::complete : State::trailer;
          line_bytes_ = 0;
        }
        break;
      case State::data:
      case State::complete:
      case State::wrong:
        break;
    }
  }
  return at;
}

std::string_view ChunkHeader::write(std::size_t size) {
  auto end = std::to_chars(text, text + 16, size, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  return {text, static_cast<std::size_t>(end - text)};
}

}  // namespace weir::net
