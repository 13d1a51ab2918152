#include "proxy/downstream.hpp"

namespace weir::proxy {

void Downstream::begin(std::string head, const net::BodyFraming& framing) {
  head_ = std::move(head);
  framing_ = framing;
  begun_ = true;
}

void Downstream::send(std::span<const std::string_view> data, End end) {
  std::size_t size = 0;
  for (const std::string_view piece : data) size += piece.size();
  if (size == 0 && end == End::open) return;
  std::vector<std::string_view>& pieces = session_.context().pieces;
  pieces.clear();
  if (!committed_) pieces.push_back(head_);
  const bool chunked = framing_.kind == net::BodyFraming::Kind::chunked;
  net::ChunkHeader chunk;
  if (size > 0) {
    if (chunked) pieces.push_back(chunk.write(size));
    pieces.insert(pieces.end(), data.begin(), data.end());
    if (chunked) pieces.push_back(end == End::complete ? std::string_view("\r\n0\r\n\r\n") : std::string_view("\r\n"));
  } else if (chunked) {
    pieces.emplace_back("0\r\n\r\n");
  }
  session_.client().write(pieces);
  committed_ = true;
  finished_ = end == End::complete;
  if (!head_.empty()) std::string().swap(head_);
}

void Downstream::break_off() {
  session_.close_after_this();
  session_.note_left();
  session_.client().wire().abort();
}

}  // namespace weir::proxy
