// A wire with what has been read from it and not used yet, and what could not be written yet. Shared by client sessions
// and upstream calls. Bytes land in the worker's scratch buffer and stay there while nobody else wants it; the read
// buffer holds only what is left over then, and is empty while a connection is idle.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "net/wire.hpp"
#include "net/worker.hpp"

namespace weir::net {

// A message on its way out: pieces that stay where they are while they are written, as far as the wire takes them.
class PieceCursor {
 public:
  explicit PieceCursor(std::span<const std::string_view> pieces) : pieces_(pieces) {}
  // done: all is written; would_block: call again when the wire is writable.
  IoStep write_to(Wire& wire, std::uint64_t& bytes_written);
  void append_rest_to(std::string& out) const;

 private:
  std::span<const std::string_view> pieces_;
  std::size_t first_ = 0;
  std::size_t offset_ = 0;  // into the first piece
};

class Connection {
 public:
  Connection(Worker& worker, std::unique_ptr<Wire> wire) : worker_(&worker), wire_(std::move(wire)) {}
  ~Connection() { worker_->end_loan(*this); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Wire& wire() { return *wire_; }
  Worker& worker() { return *worker_; }
  std::unique_ptr<Wire> release() { return std::move(wire_); }

  // Bytes read and not consumed.
  std::string_view unread() const {
    return borrowed_.empty() ? std::string_view(input_).substr(consumed_)
                             : std::string_view(borrowed_.data(), borrowed_.size());
  }
  // May be changed in place.
  std::span<char> unread_bytes() { return borrowed_.empty() ? std::span<char>(input_).subspan(consumed_) : borrowed_; }
  void consume(std::size_t bytes);

  // Reads once and appends to unread().
  IoStep read_more();
  // Reads once into the worker's scratch buffer. REQUIRES: unread() is empty. The bytes are valid until the next await;
  // what is not used of them goes back with keep().
  IoStep read_scratch(std::span<char>& bytes);
  void keep(std::string_view rest) {
    if (!rest.empty()) input_.append(rest);
  }
  // The worker's scratch buffer goes to somebody else: what is not used of it is copied.
  void keep_borrowed();

  // Writes the pieces now as far as the wire takes them and keeps a copy of the rest, to be flushed. A failure is
  // remembered: it shows in write_failed() and nothing is written any more.
  void write(std::span<const std::string_view> pieces);
  void write(std::string_view bytes) { write(std::span<const std::string_view>(&bytes, 1)); }
  // Writes what the wire takes now and copies nothing: the caller keeps the pieces and comes again.
  // REQUIRES: nothing is unflushed.
  IoStep write_some(PieceCursor& pieces);
  IoStep flush();  // done: nothing is pending any more; failed: now or earlier, and what was pending is dropped
  bool has_unflushed() const { return flushed_ < output_.size(); }
  std::size_t unflushed_bytes() const { return output_.size() - flushed_; }
  std::size_t buffered_bytes() const { return output_.size(); }  // with those flushed already
  bool write_failed() const { return write_failed_; }
  std::uint64_t bytes_written() const { return bytes_written_; }

 private:
  void fail_writes();

  Worker* worker_;
  std::unique_ptr<Wire> wire_;
  std::span<char> borrowed_;  // unread, in the worker's scratch buffer; empty: what is unread stands in input_
  std::string input_;
  std::size_t consumed_ = 0;
  std::string output_;
  std::size_t flushed_ = 0;
  std::uint64_t bytes_written_ = 0;
  bool write_failed_ = false;
};

}  // namespace weir::net
