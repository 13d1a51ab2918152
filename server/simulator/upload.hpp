// Takes the file out of an upload as its bytes come in, at any size in constant memory: multipart/form-data with a part
// named `file`, or any other body, which then is the file itself. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "simulator/digest.hpp"

namespace weir::simulator {

// What is known of an uploaded file. Sizes and digests are of all bytes, the content only up to a bound.
struct UploadedFile {
  std::string filename = "upload";
  std::string purpose = "user_data";
  std::uint64_t bytes = 0;
  std::string sha256;
  std::string content;           // the first kept_bytes_max bytes
  std::uint64_t body_bytes = 0;  // of the whole request body
  std::string body_sha256;
  bool well_formed = true;  // the multipart body ended as it should
};

class Upload {
 public:
  static constexpr std::size_t kept_bytes_max = 8u << 20;

  explicit Upload(std::string_view content_type);

  void feed(std::string_view bytes);
  UploadedFile finish();

 private:
  void take_file_bytes(std::string_view bytes);
  void feed_multipart(std::string_view bytes);
  bool read_part_head();
  void end_part();

  enum class State { part_head, part_data, after_boundary, epilogue };
  static constexpr std::size_t part_head_bytes_max = 16 * 1024;
  static constexpr std::size_t field_bytes_max = 1024;

  std::string boundary_;  // with CR LF "--" before it; empty: not multipart
  State state_ = State::part_head;
  std::string pending_;  // not decided yet: may be the beginning of a boundary or of a head
  std::string part_name_;
  std::string field_;  // value of a part that is no file
  UploadedFile file_;
  Digest file_digest_, body_digest_;
};

}  // namespace weir::simulator
