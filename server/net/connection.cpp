#include "net/connection.hpp"

#include <algorithm>
#include <array>
#include <cassert>

namespace weir::net {
namespace {

// A buffer that once held a large message is not kept for an idle connection.
constexpr std::size_t idle_capacity_max = 512;

void reset(std::string& buffer, std::size_t& position) {
  position = 0;
  if (buffer.capacity() > idle_capacity_max) {
    std::string().swap(buffer);
  } else {
    buffer.clear();
  }
}

}  // namespace

IoStep PieceCursor::write_to(Wire& wire, std::uint64_t& bytes_written) {
  for (;;) {
    for (; first_ < pieces_.size() && offset_ == pieces_[first_].size(); ++first_) offset_ = 0;
    if (first_ == pieces_.size()) return {IoStep::Status::done, 0};
    const IoStep step = wire.try_write(pieces_.subspan(first_), offset_);
    if (step.status != IoStep::Status::done) return step;
    bytes_written += step.bytes;
    for (offset_ += step.bytes; first_ < pieces_.size() && offset_ >= pieces_[first_].size(); ++first_) {
      offset_ -= pieces_[first_].size();
    }
  }
}

void PieceCursor::append_rest_to(std::string& out) const {
  for (std::size_t i = first_; i < pieces_.size(); ++i)
    out.append(i == first_ ? pieces_[i].substr(offset_) : pieces_[i]);
}

void Connection::consume(std::size_t bytes) {
  assert(bytes <= unread().size());
  if (!borrowed_.empty()) {
    borrowed_ = borrowed_.subspan(bytes);
    if (borrowed_.empty()) worker_->end_loan(*this);
    return;
  }
  consumed_ += bytes;
  if (consumed_ == input_.size()) reset(input_, consumed_);
}

IoStep Connection::read_more() {
  const std::span<char> scratch = worker_->scratch();
  const IoStep step = wire_->try_read(scratch);
  if (step.status != IoStep::Status::done) return step;
  if (input_.empty()) {
    borrowed_ = scratch.first(step.bytes);
    worker_->lend_scratch(*this);
    return step;
  }
  if (consumed_ > 0) {
    input_.erase(0, consumed_);
    consumed_ = 0;
  }
  input_.append(scratch.data(), step.bytes);
  return step;
}

void Connection::keep_borrowed() {
  input_.assign(borrowed_.data(), borrowed_.size());
  borrowed_ = {};
}

IoStep Connection::read_scratch(std::span<char>& bytes) {
  const std::span<char> scratch = worker_->scratch();
  const IoStep step = wire_->try_read(scratch);
  bytes = scratch.first(step.bytes);
  return step;
}

void Connection::write(std::span<const std::string_view> pieces) {
  if (write_failed_) return;
  PieceCursor cursor(pieces);
  if (!has_unflushed() && write_some(cursor).status != IoStep::Status::would_block) return;
  // A reader that takes some but never all must not make this grow for ever.
  if (flushed_ >= output_.size() - flushed_) {
    output_.erase(0, flushed_);
    flushed_ = 0;
  }
  cursor.append_rest_to(output_);
}

IoStep Connection::write_some(PieceCursor& pieces) {
  const IoStep step = pieces.write_to(*wire_, bytes_written_);
  if (step.status == IoStep::Status::failed || step.status == IoStep::Status::end) fail_writes();
  return step;
}

void Connection::fail_writes() {
  write_failed_ = true;
  reset(output_, flushed_);
}

IoStep Connection::flush() {
  if (write_failed_) return {IoStep::Status::failed, 0};
  while (has_unflushed()) {
    const std::string_view rest = std::string_view(output_).substr(flushed_);
    const IoStep step = wire_->try_write(std::span<const std::string_view>(&rest, 1));
    if (step.status != IoStep::Status::done) {
      if (step.status != IoStep::Status::would_block) fail_writes();
      return step;
    }
    bytes_written_ += step.bytes;
    flushed_ += step.bytes;
  }
  reset(output_, flushed_);
  return {IoStep::Status::done, 0};
}

}  // namespace weir::net
