#include "net/connection.hpp"

#include <array>

namespace weir::net {
namespace {

// A buffer that once held a large message is not kept for an idle connection.
constexpr std::size_t idle_capacity_max = 4096;

void reset(std::string& buffer, std::size_t& position) {
  position = 0;
  if (buffer.capacity() > idle_capacity_max) {
    std::string().swap(buffer);
  } else {
    buffer.clear();
  }
}

}  // namespace

void Connection::consume(std::size_t bytes) {
  consumed_ += bytes;
  if (consumed_ == input_.size()) reset(input_, consumed_);
}

IoStep Connection::read_more() {
  const std::span<char> scratch = worker_->scratch();
  const IoStep step = wire_->try_read(scratch);
  if (step.status == IoStep::Status::done) {
    if (consumed_ > 0) {
      input_.erase(0, consumed_);
      consumed_ = 0;
    }
    input_.append(scratch.data(), step.bytes);
  }
  return step;
}

IoStep Connection::read_scratch(std::string_view& bytes) {
  const std::span<char> scratch = worker_->scratch();
  const IoStep step = wire_->try_read(scratch);
  bytes = std::string_view(scratch.data(), step.bytes);
  return step;
}

void Connection::write(std::span<const std::string_view> pieces) {
  if (write_failed_) return;
  std::size_t first = 0, offset = 0;
  if (!has_unflushed()) {
    constexpr std::size_t batch = 64;
    while (first < pieces.size()) {
      std::array<std::string_view, batch> now;
      std::size_t count = 0;
      for (std::size_t i = first; i < pieces.size() && count < batch; ++i) {
        const std::string_view piece = i == first ? pieces[i].substr(offset) : pieces[i];
        if (!piece.empty()) now[count++] = piece;
      }
      if (count == 0) return;
      const IoStep step = wire_->try_write(std::span<const std::string_view>(now.data(), count));
      if (step.status == IoStep::Status::would_block) break;
      if (step.status != IoStep::Status::done) {
        write_failed_ = true;
        return;
      }
      bytes_written_ += step.bytes;
      for (offset += step.bytes; first < pieces.size() && offset >= pieces[first].size(); ++first) {
        offset -= pieces[first].size();
      }
    }
  }
  for (; first < pieces.size(); ++first, offset = 0) output_.append(pieces[first].substr(offset));
}

IoStep Connection::flush() {
  while (has_unflushed()) {
    const std::string_view rest = std::string_view(output_).substr(flushed_);
    const IoStep step = wire_->try_write(std::span<const std::string_view>(&rest, 1));
    if (step.status != IoStep::Status::done) {
      if (step.status != IoStep::Status::would_block) write_failed_ = true;
      return step;
    }
    bytes_written_ += step.bytes;
    flushed_ += step.bytes;
  }
  reset(output_, flushed_);
  return {IoStep::Status::done, 0};
}

}  // namespace weir::net
