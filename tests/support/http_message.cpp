#include "support/http_message.hpp"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace weir::test {
namespace {

bool same(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

}  // namespace

HttpMessage::HttpMessage() = default;
HttpMessage::HttpMessage(const HttpMessage&) = default;
HttpMessage::HttpMessage(HttpMessage&&) noexcept = default;
HttpMessage& HttpMessage::operator=(const HttpMessage&) = default;
HttpMessage& HttpMessage::operator=(HttpMessage&&) noexcept = default;
HttpMessage::~HttpMessage() = default;

int HttpMessage::status() const {
  return start_line.size() < 12 ? 0 : std::atoi(start_line.c_str() + 9);
}

std::string HttpMessage::method() const {
  return start_line.substr(0, start_line.find(' '));
}

std::string HttpMessage::target() const {
  const auto from = start_line.find(' ') + 1;
  return start_line.substr(from, start_line.find(' ', from) - from);
}

std::string HttpMessage::field(std::string_view name) const {
  for (const auto& [key, value] : fields) {
    if (same(key, name)) return value;
  }
  return {};
}

std::size_t HttpMessage::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::count_if(fields.begin(), fields.end(), [&](const auto& field) { return same(field.first, name); }));
}

bool MessageReader::read_request(HttpMessage& message) {
  message = {};
  while (unread().empty()) {
    if (!more()) return false;
  }
  read_head(message);
  read_body(message, false);
  return true;
}

HttpMessage MessageReader::read_response(std::string_view to_method) {
  HttpMessage message;
  read_head(message);
  const int status = message.status();
  const bool no_body = to_method == "HEAD" || status < 200 || status == 204 || status == 304;
  if (!no_body) read_body(message, true);
  return message;
}

std::string MessageReader::read_until(std::string_view marker) {
  for (;;) {
    if (const auto found = unread().find(marker); found != std::string_view::npos) return take(found + marker.size());
    if (!more()) fail("the stream ended before '" + std::string(marker) + "'");
  }
}

std::string MessageReader::read_exactly(std::size_t bytes) {
  while (unread().size() < bytes) {
    if (!more()) fail("the stream ended before " + std::to_string(bytes) + " bytes");
  }
  return take(bytes);
}

std::string MessageReader::read_to_end() {
  while (more()) {
  }
  return take(unread().size());
}

bool MessageReader::more() {
  if (broken_) return false;
  try {
    const std::string bytes = socket_.receive();
    received_ += bytes;
    return !bytes.empty();
  } catch (const ConnectionReset&) {
    broken_ = true;
    return false;
  } catch (const TimedOut& error) {
    throw TimedOut(std::string(error.what()) + "; so far: '" +
                   received_.substr(received_.size() - std::min<std::size_t>(received_.size(), 2000)) + "'");
  }
}

std::string MessageReader::take(std::size_t bytes) {
  std::string taken(unread().substr(0, bytes));
  at_ += bytes;
  return taken;
}

void MessageReader::fail(const std::string& why) const {
  throw std::runtime_error(why + (broken_ ? " (reset)" : "") + "; unread: '" + std::string(unread().substr(0, 2000)) +
                           "'");
}

void MessageReader::read_head(HttpMessage& message) {
  message.head = read_until("\r\n\r\n");
  std::size_t at = message.head.find("\r\n");
  message.start_line = message.head.substr(0, at);
  for (at += 2; at + 2 < message.head.size();) {
    const std::size_t end = message.head.find("\r\n", at);
    const std::string line = message.head.substr(at, end - at);
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || colon == 0) fail("not a header line: '" + line + "'");
    std::size_t value = line.find_first_not_of(" \t", colon + 1);
    if (value == std::string::npos) value = line.size();
    message.fields.emplace_back(line.substr(0, colon), line.substr(value));
    at = end + 2;
  }
}

void MessageReader::read_body(HttpMessage& message, bool until_close) {
  const auto cut = [&] { message.ending = broken_ ? HttpMessage::Ending::reset : HttpMessage::Ending::truncated; };
  if (message.count("transfer-encoding") > 0) {
    if (!read_chunks(message)) cut();
  } else if (message.count("content-length") > 0) {
    const std::size_t size = std::strtoull(message.field("content-length").c_str(), nullptr, 10);
    while (unread().size() < size && more()) {
    }
    message.body = take(std::min(size, unread().size()));
    message.raw_body = message.body;
    if (message.body.size() < size) cut();
  } else if (until_close) {
    message.body = message.raw_body = read_to_end();
    if (broken_) cut();
  }
}

bool MessageReader::read_chunks(HttpMessage& message) {
  for (;;) {
    std::string line;
    if (!read_line(line)) return false;
    message.raw_body += line;
    char* end = nullptr;
    const std::size_t size = std::strtoull(line.c_str(), &end, 16);
    if (end == line.c_str() || (*end != ';' && *end != '\r')) fail("not a chunk size: '" + line + "'");
    if (size == 0) break;
    while (unread().size() < size + 2 && more()) {
    }
    const std::string chunk = take(std::min(size + 2, unread().size()));
    message.raw_body += chunk;
    message.body += chunk.substr(0, size);
    if (chunk.size() < size + 2) return false;
    if (!chunk.ends_with("\r\n")) fail("a chunk does not end in CRLF");
    message.chunks.push_back(chunk.substr(0, size));
  }
  std::string line;
  do {
    if (!read_line(line)) return false;
    message.raw_body += line;
  } while (line != "\r\n");
  return true;
}

bool MessageReader::read_line(std::string& line) {
  for (;;) {
    if (const auto end = unread().find("\r\n"); end != std::string_view::npos) {
      line = take(end + 2);
      return true;
    }
    if (!more()) return false;
  }
}

}  // namespace weir::test
