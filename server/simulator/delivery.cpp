#include "simulator/delivery.hpp"

#include "net/body_decoder.hpp"

namespace weir::simulator {
namespace {

std::string with_crlf(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 8);
  for (const char c : text) {
    if (c == '\n') out += '\r';
    out += c;
  }
  return out;
}

}  // namespace

void Delivery::head(std::string_view head, Framing framing) {
  framing_ = framing;
  if (cutting_.mode != Cutting::Mode::bytes) {
    out_ += head;
    return;
  }
  for (; !head.empty(); head.remove_prefix(std::min(cutting_.bytes, head.size())))
    connection_.write(head.substr(0, cutting_.bytes));
}

void Delivery::body(std::string_view piece) {
  if (piece.empty()) return;
  std::string converted;
  if (crlf_) piece = converted = with_crlf(piece);
  switch (cutting_.mode) {
    case Cutting::Mode::as_due:
      return frame(piece);
    case Cutting::Mode::each:
      frame(piece);
      return flush();
    case Cutting::Mode::merge:
      merged_ += piece;
      if (++merged_count_ == merged_max) flush();
      return;
    case Cutting::Mode::bytes:
      for (; !piece.empty(); piece.remove_prefix(std::min(cutting_.bytes, piece.size()))) {
        frame(piece.substr(0, cutting_.bytes));
        flush();
      }
      return;
  }
}

void Delivery::frame(std::string_view bytes) {
  if (framing_ == Framing::raw) {
    out_ += bytes;
    return;
  }
  net::ChunkHeader header;
  out_ += header.write(bytes.size());
  out_ += bytes;
  out_ += "\r\n";
}

void Delivery::finish() {
  if (!merged_.empty()) flush();
  if (framing_ == Framing::chunked) out_ += "0\r\n\r\n";
}

void Delivery::flush() {
  if (!merged_.empty()) {
    frame(merged_);
    merged_.clear();
    merged_count_ = 0;
  }
  if (out_.empty()) return;
  connection_.write(out_);
  out_.clear();
}

}  // namespace weir::simulator
