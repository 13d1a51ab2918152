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
    if (chunked) pieces.emplace_back("\r\n");
  }
  if (chunked && end == End::complete) {
    pieces.emplace_back("0\r\n");
    if (trailers_) pieces.push_back(*trailers_);
    pieces.emplace_back("\r\n");
  }
  session_.client().write(pieces);
  committed_ = true;
  finished_ = end == End::complete;
  if (!head_.empty()) std::string().swap(head_);
}

void Downstream::add_trailer(std::string_view name, std::string_view value) {
  if (trailers_) trailers_->append(name).append(": ").append(value).append("\r\n");
}

void Downstream::break_off() {
  session_.close_after_this();
  session_.note_left();
  session_.client().wire().abort();
}

}  // namespace weir::proxy
