// The head of an HTTP/1.1 message: start line and fields, as views into the bytes it was read from. Read by Beast's
// parser, guarded by checks of our own before (head_check) and after (framing): Beast accepts more than a proxy may.
// Pure: bytes in, values out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace weir::net {

struct Field {
  std::string_view name;   // as sent
  std::string_view value;  // without surrounding white space
};

bool same_letters(std::string_view a, std::string_view b);  // REQUIRES: of one length
// Here, since a request asks it a hundred times, and nearly always the lengths or the first letters differ.
inline bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  constexpr unsigned case_bit = 0x20;  // other characters that differ in it only are left to the comparison
  if (!a.empty() && ((static_cast<unsigned char>(a[0]) ^ static_cast<unsigned char>(b[0])) & ~case_bit) != 0)
    return false;
  return same_letters(a, b);
}
// Whether a comma-separated list of tokens has `token` in it (any case).
bool list_contains(std::string_view list, std::string_view token);

// Views point into the head's bytes, which the owner of the message keeps.
struct MessageHead {
  int version = 11;  // 10 or 11
  std::vector<Field> fields;

  const Field* find(std::string_view name) const;          // the first; nullptr: none
  std::string_view value_of(std::string_view name) const;  // of the first; empty: none
  bool connection_says(std::string_view option) const;     // in any Connection field
  bool keep_alive() const;                                 // by version and Connection
};

struct RequestHead : MessageHead {
  std::string_view method;
  std::string_view target;  // as sent
  void clear() {
    method = target = {};
    fields.clear();
  }
};

struct ResponseHead : MessageHead {
  int status = 0;
  void clear() {
    status = 0;
    fields.clear();
  }
};

// Where a body ends.
struct BodyFraming {
  enum class Kind { none, length, chunked, until_close };
  Kind kind = Kind::none;
  std::uint64_t length = 0;
};

// Why a head is refused, in words for the sender.
struct HeadError {
  enum class Kind { malformed, too_large, too_many_fields };
  Kind kind = Kind::malformed;
  std::string reason;
};

struct HeadLimits {
  std::size_t bytes_max = 64 * 1024;
  std::size_t fields_max = 128;
};

// How far the lines of a head that arrives little by little have been looked at.
struct HeadScan {
  std::size_t line_begin = 0;
  std::size_t lines = 0;
};

// Looks for the end of the head. Finds what no head may contain on the way: a bare LF or CR, NUL, a folded line, more
// lines than fields may be. Returns the size of the head with its empty line, 0 while incomplete, or the error.
// `scan`: goes on where the call before it, with fewer of the same bytes, ended.
std::variant<std::size_t, HeadError> find_head_end(std::string_view bytes, const HeadLimits& limits, HeadScan& scan);
std::variant<std::size_t, HeadError> find_head_end(std::string_view bytes, const HeadLimits& limits);

// What RFC 9112 mends in a response before it is understood: white space before a colon goes (§5.1), and the space
// comes that some leave out with the reason (§4). REQUIRES: `head` is a complete head.
void mend_response_head(std::string& head);

// REQUIRES: `bytes` is a complete head, as find_head_end measured it.
std::optional<HeadError> parse_request_head(std::string_view bytes, const HeadLimits& limits, RequestHead& head);
std::optional<HeadError> parse_response_head(std::string_view bytes, const HeadLimits& limits, ResponseHead& head);

// RFC 9112 §6.3, strictly: one way to read a length or none at all.
std::variant<BodyFraming, HeadError> request_framing(const RequestHead& head);
std::variant<BodyFraming, HeadError> response_framing(const ResponseHead& head, std::string_view request_method);

// Host exactly once (HTTP/1.1) and well-formed; the target in origin form, without bytes that change its meaning.
std::optional<HeadError> check_request_target(const RequestHead& head);

}  // namespace weir::net
