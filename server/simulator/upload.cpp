#include "simulator/upload.hpp"

#include <algorithm>

namespace weir::simulator {
namespace {

// The value of a parameter such as `boundary=x` or `name="x"`; empty: none. The names asked for end in '='.
std::string parameter(std::string_view header, std::string_view name) {
  for (std::size_t at = header.find(name); at != std::string_view::npos; at = header.find(name, at + 1)) {
    // `name=` is also the end of `filename=`.
    if (at > 0 && header[at - 1] != ' ' && header[at - 1] != ';') continue;
    std::string_view value = header.substr(at + name.size());
    if (value.starts_with('"')) {
      value.remove_prefix(1);
      return std::string(value.substr(0, value.find('"')));
    }
    return std::string(value.substr(0, value.find_first_of("; \r\n")));
  }
  return {};
}

}  // namespace

Upload::Upload(std::string_view content_type) {
  if (!content_type.starts_with("multipart/form-data")) return;
  const std::string boundary = parameter(content_type, "boundary=");
  if (boundary.empty()) return;
  boundary_ = "\r\n--" + boundary;
  pending_ = "\r\n";  // the first boundary has no line before it
  state_ = State::part_data;
}

void Upload::feed(std::string_view bytes) {
  file_.body_bytes += bytes.size();
  body_digest_.add(bytes);
  if (boundary_.empty()) {
    take_file_bytes(bytes);
  } else {
    feed_multipart(bytes);
  }
}

void Upload::take_file_bytes(std::string_view bytes) {
  file_.bytes += bytes.size();
  file_digest_.add(bytes);
  file_.content.append(bytes.substr(0, kept_bytes_max - std::min(kept_bytes_max, file_.content.size())));
}

void Upload::feed_multipart(std::string_view bytes) {
  pending_.append(bytes);
  for (;;) {
    if (state_ == State::part_data) {
      const std::size_t boundary = pending_.find(boundary_);
      // All but what may be the beginning of a boundary is data.
      const std::size_t data = boundary != std::string::npos         ? boundary
                               : pending_.size() >= boundary_.size() ? pending_.size() - boundary_.size() + 1
                                                                     : 0;
      if (part_name_ == "file")
        take_file_bytes(std::string_view(pending_).substr(0, data));
      else if (field_.size() < field_bytes_max)
        field_.append(pending_, 0, std::min(data, field_bytes_max));
      pending_.erase(0, data);
      if (boundary == std::string::npos) return;
      pending_.erase(0, boundary_.size());
      end_part();
      state_ = State::after_boundary;
    } else if (state_ == State::after_boundary) {
      if (pending_.size() < 2) return;
      state_ = pending_.starts_with("--") ? State::epilogue : State::part_head;
    } else if (state_ == State::part_head) {
      if (!read_part_head()) return;
    } else {
      pending_.clear();
      return;
    }
  }
}

// From the CR LF that ends the boundary's line to the empty line.
bool Upload::read_part_head() {
  const std::size_t end = pending_.find("\r\n\r\n");
  if (end == std::string::npos) {
    if (pending_.size() > part_head_bytes_max) {
      file_.well_formed = false;
      boundary_.clear();  // not multipart after all: give up on finding the file
    }
    return false;
  }
  const std::string_view head = std::string_view(pending_).substr(0, end);
  part_name_ = parameter(head, "name=");
  if (std::string name = parameter(head, "filename="); !name.empty()) file_.filename = std::move(name);
  pending_.erase(0, end + 4);
  state_ = State::part_data;
  return true;
}

void Upload::end_part() {
  if (part_name_ == "purpose") file_.purpose = field_;
  part_name_.clear();
  field_.clear();
}

UploadedFile Upload::finish() {
  if (!boundary_.empty() && state_ != State::epilogue) file_.well_formed = false;
  file_.sha256 = file_digest_.finish();
  file_.body_sha256 = body_digest_.finish();
  return std::move(file_);
}

}  // namespace weir::simulator
