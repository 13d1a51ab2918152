#include "net/head.hpp"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cstring>

namespace weir::net {
namespace {

namespace http = boost::beast::http;
namespace beast = boost::beast;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
HeadError malformed(std::string reason) {
  return {HeadError::Kind::malformed, std::move(reason)};
}

HeadError too_many_fields(const HeadLimits& limits) {
  return {HeadError::Kind::too_many_fields, "more than " + std::to_string(limits.fields_max) + " header fields"};
}

std::string_view to_view(beast::string_view text) {
  return {text.data(), text.size()};
}

// Beast's parser with our storage: fields stay views into the caller's bytes, nothing is allocated per field.
template <bool IsRequest, class Head>
class HeadSink final : public http::basic_parser<IsRequest> {
 public:
  HeadSink(Head& head, const HeadLimits& limits) : head_(head), fields_max_(limits.fields_max) {
    this->header_limit(static_cast<std::uint32_t>(limits.bytes_max));
    this->body_limit(boost::none);
    this->eager(false);
    this->skip(true);
  }
  bool too_many() const { return too_many_; }

 private:
  void on_request_impl(http::verb, beast::string_view method, beast::string_view target, int version,
                       beast::error_code&) override {
    if constexpr (IsRequest) {
      head_.method = to_view(method);
      head_.target = to_view(target);
    }
    head_.version = version;
  }
  void on_response_impl(int status, beast::string_view, int version, beast::error_code&) override {
    if constexpr (!IsRequest) head_.status = status;
    head_.version = version;
  }
  void on_field_impl(http::field, beast::string_view name, beast::string_view value,
                     beast::error_code& error) override {
    if (head_.fields.size() >= fields_max_) {
      too_many_ = true;
      error = http::make_error_code(http::error::header_limit);
      return;
    }
    head_.fields.push_back({to_view(name), to_view(value)});
  }
  void on_header_impl(beast::error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, beast::error_code&) override {}
  std::size_t on_body_impl(beast::string_view, beast::error_code&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, beast::error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view, beast::error_code&) override { return 0; }
  void on_finish_impl(beast::error_code&) override {}

  Head& head_;
  std::size_t fields_max_;
  bool too_many_ = false;
};

template <bool IsRequest, class Head>
std::optional<HeadError> parse_head(std::string_view bytes, const HeadLimits& limits, Head& head) {
  head.clear();
  HeadSink<IsRequest, Head> sink(head, limits);
  beast::error_code error;
  sink.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  if (sink.too_many()) return too_many_fields(limits);
  if (error && error != http::error::need_more) return malformed(error.message());
  if (!sink.is_header_done()) return malformed("incomplete head");
  if constexpr (!IsRequest) {
    if (head.status < 100) return malformed("a status below 100");
  }
  return std::nullopt;
}

// Digits only and no overflow; nullopt otherwise.
std::optional<std::uint64_t> parse_length(std::string_view text) {
  if (text.empty() || text.size() > 18 || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) value = value * 10 + static_cast<std::uint64_t>(c - '0');
  return value;
}

struct FramingFields {
  const Field* length = nullptr;
  const Field* encoding = nullptr;
  std::optional<HeadError> error;
};

FramingFields framing_fields(const MessageHead& head) {
  FramingFields found;
  for (const Field& field : head.fields) {
    const bool length = equals_ignoring_case(field.name, "content-length");
    const bool encoding = !length && equals_ignoring_case(field.name, "transfer-encoding");
    if (!length && !encoding) continue;
    const Field*& slot = length ? found.length : found.encoding;
    if (slot) found.error = malformed(std::string(field.name) + " is given twice");
    slot = &field;
  }
  if (found.length && found.encoding) found.error = malformed("both Content-Length and Transfer-Encoding are given");
  return found;
}

}  // namespace

bool same_letters(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return x == y || lower(x) == lower(y); });
}

bool list_contains(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view item = list.substr(0, comma);
    while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
    while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
    if (equals_ignoring_case(item, token)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

const Field* MessageHead::find(std::string_view name) const {
  for (const Field& field : fields) {
    if (equals_ignoring_case(field.name, name)) return &field;
  }
  return nullptr;
}

std::string_view MessageHead::value_of(std::string_view name) const {
  const Field* field = find(name);
  return field ? field->value : std::string_view();
}

bool MessageHead::connection_says(std::string_view option) const {
  return std::any_of(fields.begin(), fields.end(), [&](const Field& field) {
    return equals_ignoring_case(field.name, "connection") && list_contains(field.value, option);
  });
}

bool MessageHead::keep_alive() const {
  if (connection_says("close")) return false;
  return version >= 11 || connection_says("keep-alive");
}

std::variant<std::size_t, HeadError> find_head_end(std::string_view bytes, const HeadLimits& limits) {
  HeadScan scan;
  return find_head_end(bytes, limits, scan);
}

std::variant<std::size_t, HeadError> find_head_end(std::string_view bytes, const HeadLimits& limits, HeadScan& scan) {
  if (bytes.starts_with("\x16\x03"))
    return malformed(
        "it begins a TLS handshake, and this port speaks plain HTTP: use http:// or configure clients.tls");
  for (;;) {
    const std::size_t line_begin = scan.line_begin;
    const std::size_t window = std::min(bytes.size(), limits.bytes_max) - line_begin;
    const auto* newline = static_cast<const char*>(std::memchr(bytes.data() + line_begin, '\n', window));
    if (!newline) {
      if (bytes.size() > limits.bytes_max) {
        return HeadError{HeadError::Kind::too_large,
                         "the header is larger than " + std::to_string(limits.bytes_max) + " bytes"};
      }
      return std::size_t{0};
    }
    const auto end = static_cast<std::size_t>(newline - bytes.data());
    if (end == line_begin || bytes[end - 1] != '\r') return malformed("a line ends in a bare LF");
    const std::string_view line = bytes.substr(line_begin, end - 1 - line_begin);
    if (line.empty()) return end + 1;
    if (std::memchr(line.data(), '\r', line.size())) return malformed("a bare CR in the header");
    if (std::memchr(line.data(), '\0', line.size())) return malformed("a NUL byte in the header");
    if (line.front() == ' ' || line.front() == '\t')
      return malformed("a line begins with white space (obsolete line folding)");
    if (++scan.lines > limits.fields_max + 1) return too_many_fields(limits);  // the first is no field
    scan.line_begin = end + 1;
  }
}

void mend_response_head(std::string& head) {
  constexpr std::size_t status_ends = std::string_view("HTTP/1.1 200").size();
  if (head.find("\r\n") == status_ends) head.insert(status_ends, 1, ' ');
  for (std::size_t line = head.find("\r\n") + 2; line + 2 < head.size(); line = head.find("\r\n", line) + 2) {
    std::size_t colon = line;
    while (head[colon] != ':' && head[colon] != '\r') ++colon;
    std::size_t name_ends = colon;
    while (name_ends > line && (head[name_ends - 1] == ' ' || head[name_ends - 1] == '\t')) --name_ends;
    if (head[colon] == ':') head.erase(name_ends, colon - name_ends);
  }
}

std::optional<HeadError> parse_request_head(std::string_view bytes, const HeadLimits& limits, RequestHead& head) {
  return parse_head<true>(bytes, limits, head);
}

std::optional<HeadError> parse_response_head(std::string_view bytes, const HeadLimits& limits, ResponseHead& head) {
  return parse_head<false>(bytes, limits, head);
}

std::variant<BodyFraming, HeadError> request_framing(const RequestHead& head) {
  const FramingFields found = framing_fields(head);
  if (found.error) return *found.error;
  if (found.encoding) {
    if (head.version < 11) return malformed("Transfer-Encoding in an HTTP/1.0 request");
    if (!equals_ignoring_case(found.encoding->value, "chunked"))
      return malformed("Transfer-Encoding must be exactly 'chunked'");
    return BodyFraming{BodyFraming::Kind::chunked, 0};
  }
  if (!found.length) return BodyFraming{};
  const auto length = parse_length(found.length->value);
  if (!length) return malformed("Content-Length must be one decimal number");
  return *length == 0 ? BodyFraming{} : BodyFraming{BodyFraming::Kind::length, *length};
}

std::variant<BodyFraming, HeadError> response_framing(const ResponseHead& head, std::string_view request_method) {
  if (request_method == "HEAD" || head.status < 200 || head.status == 204 || head.status == 304) return BodyFraming{};
  const FramingFields found = framing_fields(head);
  if (found.error) return *found.error;
  if (found.encoding) {
    if (head.version < 11 || !equals_ignoring_case(found.encoding->value, "chunked")) {
      return malformed("a transfer coding other than 'chunked'");
    }
    return BodyFraming{BodyFraming::Kind::chunked, 0};
  }
  if (!found.length) return BodyFraming{BodyFraming::Kind::until_close, 0};
  const auto length = parse_length(found.length->value);
  if (!length) return malformed("Content-Length must be one decimal number");
  return *length == 0 ? BodyFraming{} : BodyFraming{BodyFraming::Kind::length, *length};
}

namespace {

// uri-host [":" port] of RFC 9110 §7.2, without what no client means: lists, parameters, user names, an empty host.
bool is_host(std::string_view text) {
  const auto is_letter = [](char c) { return lower(c) >= 'a' && lower(c) <= 'z'; };
  std::size_t end = 0;
  if (text.starts_with('[')) {
    const std::size_t close = std::min(text.find(']'), text.size() - 1);
    const std::string_view inside = text.substr(1, close - 1);
    const auto is_address_char = [](char c) {
      return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f') || c == ':' || c == '.';
    };
    if (text[close] != ']' || inside.find(':') == std::string_view::npos) return false;
    if (!std::all_of(inside.begin(), inside.end(), is_address_char)) return false;
    end = close + 1;
  } else {
    const auto is_name_char = [&](char c) {
      return is_letter(c) || is_digit(c) || std::string_view("-._~%!$&'()*+;=").find(c) != std::string_view::npos;
    };
    while (end < text.size() && is_name_char(text[end])) ++end;
    if (end == 0) return false;
  }
  if (end == text.size()) return true;
  const std::string_view port = text.substr(end + 1);
  if (text[end] != ':' || port.size() > 5 || !std::all_of(port.begin(), port.end(), is_digit)) return false;
  return port.size() < 5 || port <= "65535";
}

}  // namespace

std::optional<HeadError> check_request_target(const RequestHead& head) {
  std::size_t hosts = 0;
  std::string_view host;
  for (const Field& field : head.fields) {
    if (!equals_ignoring_case(field.name, "host")) continue;
    ++hosts;
    host = field.value;
  }
  if (hosts > 1) return malformed("Host is given twice");
  if (hosts == 0 && head.version >= 11) return malformed("Host is missing");
  if (hosts == 1 && !is_host(host)) return malformed("Host is not a host name");
  const bool asterisk = head.target == "*" && head.method == "OPTIONS";
  if (!head.target.starts_with('/') && !asterisk) {
    return malformed("the request target must be a path; weir is not a forward proxy");
  }
  const bool odd = std::any_of(head.target.begin(), head.target.end(), [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) == 0x7f || c == '#';
  });
  if (odd) return malformed("the request target has bytes that a path may not have");
  return std::nullopt;
}

}  // namespace weir::net
