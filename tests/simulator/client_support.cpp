#include "simulator/client_support.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <simdjson.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <stdexcept>

namespace weir::simulator::test {

using Clock = std::chrono::steady_clock;

Options fast(std::uint64_t output_tokens) {
  Options options;
  options.listen = "127.0.0.1:0";
  options.tokens_per_second = 0;
  options.output_tokens = output_tokens;
  return options;
}

std::string Response::header(std::string_view name) const {
  std::size_t at = head.find("\r\n");
  while (at != std::string::npos && at + 2 < head.size()) {
    const std::size_t begin = at + 2;
    at = head.find("\r\n", begin);
    const std::string_view line = std::string_view(head).substr(begin, at - begin);
    const std::size_t colon = line.find(':');
    if (colon == name.size() && ::strncasecmp(line.data(), name.data(), colon) == 0) {
      const std::size_t value = line.find_first_not_of(' ', colon + 1);
      return value == std::string_view::npos ? std::string() : std::string(line.substr(value));
    }
  }
  return {};
}

Client::Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("cannot connect");
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Client::~Client() {
  close();
}

void Client::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // what the server thought of it shows when it is read
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

bool Client::fill(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  pollfd poll{fd_, POLLIN, 0};
  if (left <= 0 || ::poll(&poll, 1, static_cast<int>(left)) <= 0) {
    end_ = Response::End::timeout;
    return false;
  }
  char buffer[65536];
  const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
  if (got > 0) {
    input_.append(buffer, static_cast<std::size_t>(got));
    return true;
  }
  end_ = got == 0 ? Response::End::closed : Response::End::reset;
  return false;
}

std::string Client::receive_some(std::size_t bytes) {
  const auto deadline = Clock::now() + std::chrono::seconds(5);
  while (input_.size() < bytes && fill(deadline)) {
  }
  return input_;
}

Response Client::receive(std::chrono::milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  Response response;
  std::size_t head_end;
  while ((head_end = input_.find("\r\n\r\n")) == std::string::npos) {
    if (!fill(deadline)) {
      response.end = end_;
      return response;
    }
  }
  response.head = input_.substr(0, head_end + 2);
  input_.erase(0, head_end + 4);
  std::from_chars(response.head.data() + 9, response.head.data() + 12, response.status);
  response.end = Response::End::complete;
  if (response.status == 100) return receive(patience);

  const std::string length = response.header("content-length");
  if (response.header("transfer-encoding") == "chunked") {
    for (;;) {
      std::size_t line;
      while ((line = input_.find("\r\n")) == std::string::npos) {
        if (!fill(deadline)) {
          response.end = end_;
          return response;
        }
      }
      const std::size_t size = std::stoul(input_.substr(0, line), nullptr, 16);
      while (input_.size() < line + 2 + size + 2) {
        if (!fill(deadline)) {
          response.end = end_;
          return response;
        }
      }
      const std::string chunk = input_.substr(line + 2, size);
      input_.erase(0, line + 2 + size + 2);
      if (size == 0) return response;
      response.body += chunk;
      response.chunks.push_back(chunk);
    }
  }
  const std::size_t wanted = length.empty() ? std::string::npos : std::stoul(length);
  while (input_.size() < wanted && fill(deadline)) {
  }
  if (input_.size() < wanted) response.end = end_;
  response.body = input_.substr(0, wanted);
  input_.erase(0, response.body.size());
  return response;
}

std::string post_text(std::string_view path, std::string_view body, std::string_view headers) {
  return "POST " + std::string(path) +
         " HTTP/1.1\r\nHost: simulated\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n" + std::string(headers) + "\r\n" + std::string(body);
}

Response Client::post(std::string_view path, std::string_view body, std::string_view headers) {
  send(post_text(path, body, headers));
  return receive();
}

Response Client::get(std::string_view path, std::string_view headers) {
  send("GET " + std::string(path) + " HTTP/1.1\r\nHost: simulated\r\n" + std::string(headers) + "\r\n");
  return receive();
}

std::string chat(std::string_view text, std::string_view more) {
  return R"({"model":"simulated","messages":[{"role":"user","content":")" + std::string(text) + R"("}])" +
         std::string(more) + "}";
}

std::string at(std::string_view json, std::string_view pointer) {
  simdjson::dom::parser parser;
  simdjson::dom::element root, value;
  if (parser.parse(json.data(), json.size()).get(root) != simdjson::SUCCESS) return "<bad>";
  if (root.at_pointer(pointer).get(value) != simdjson::SUCCESS) return "<none>";
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) return std::string(text);
  return simdjson::minify(value);
}

std::vector<Event> events_of(std::string_view stream) {
  std::vector<Event> events;
  Event event;
  while (!stream.empty()) {
    const std::size_t end = stream.find('\n');
    std::string_view line = stream.substr(0, end);
    stream.remove_prefix(end == std::string_view::npos ? stream.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) {
      if (!event.data.empty()) events.push_back(event);
      event = {};
    } else if (line.starts_with("data: ")) {
      event.data += line.substr(6);
    } else if (line.starts_with("event: ")) {
      event.name = line.substr(7);
    }
  }
  return events;
}

std::string chat_text(const std::vector<Event>& events) {
  std::string text;
  for (const Event& event : events) {
    const std::string piece = at(event.data, "/choices/0/delta/content");
    if (piece != "<none>" && piece != "<bad>" && piece != "null") text += piece;
  }
  return text;
}

}  // namespace weir::simulator::test
