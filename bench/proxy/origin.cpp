// The upstream of the bench: as fast as can be, so that what is measured is the proxy before it. Answers chat calls
// with some 500 bytes of JSON, or streams events of some 235 bytes, each with the time it was sent.
//
//   proxy_origin PORT [EVENTS_PER_SECOND [EVENTS_PER_STREAM [SILENT_MS]]]
//
// SILENT_MS: so long a stream says nothing but a keep-alive each second before its first event.
#include <queue>
#include <unordered_map>
#include <vector>

#include "poller.hpp"

namespace weir::bench {
namespace {

struct Connection {
  std::string in;
  int left = 0;  // events of the stream under way; 0: none
  std::uint32_t generation = 0;
};

class Origin {
 public:
  Origin(std::uint16_t port, double per_second, int events, std::int64_t silent_ns)
      : gap_(static_cast<std::int64_t>(1e9 / per_second)),
        events_(events),
        silent_(silent_ns),
        listener_(open_socket()) {
    const sockaddr_in address = loopback(port);
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("bind");
    if (::listen(listener_, 4096) != 0) fail("listen");
    poller_.add(listener_);
  }

  [[noreturn]] void run() {
    for (;;) {
      const std::int64_t next = due_.empty() ? now_ns() + 1'000'000'000 : due_.top().at;
      poller_.wait(next, [this](int socket, std::uint32_t) { socket == listener_ ? accept() : read(socket); });
      send_due();
    }
  }

 private:
  struct Due {
    std::int64_t at;
    int socket;
    std::uint32_t generation;
    bool keep_alive;
    bool operator<(const Due& other) const { return at > other.at; }
  };

  void accept() {
    for (;;) {
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (socket < 0) return;
      const int on = 1;
      ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      poller_.add(socket);
      connections_[socket].generation = ++generations_;
    }
  }

  void read(int socket) {
    Connection& connection = connections_[socket];
    for (;;) {
      const ssize_t got = ::recv(socket, buffer_.data(), buffer_.size(), 0);
      if (got == 0 || (got < 0 && errno != EAGAIN)) return close(socket);
      if (got < 0) break;
      connection.in.append(buffer_.data(), static_cast<std::size_t>(got));
      if (static_cast<std::size_t>(got) < buffer_.size()) break;
    }
    while (take_request(socket, connection)) {
    }
  }

  bool take_request(int socket, Connection& connection) {
    const std::size_t end = connection.in.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    const std::string_view head = std::string_view(connection.in).substr(0, end + 2);
    const std::size_t length = header_number(head, "content-length", 0);
    if (connection.in.size() < end + 4 + length) return false;
    const std::string_view body = std::string_view(connection.in).substr(end + 4, std::min<std::size_t>(length, 200));
    const bool stream = body.find("\"stream\":true") != std::string_view::npos;
    connection.in.erase(0, end + 4 + length);
    stream ? begin_stream(socket, connection) : answer(socket);
    return true;
  }

  void answer(int socket) { send_all(socket, answer_); }

  void begin_stream(int socket, Connection& connection) {
    send_all(socket, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n");
    connection.left = events_;
    // Spread over the gap, as streams of many callers are.
    const std::int64_t start = now_ns() + silent_;
    due_.push({start + static_cast<std::int64_t>(++streams_ * 7919 % 1000) * gap_ / 1000, socket, connection.generation,
               false});
    for (std::int64_t at = now_ns() + 1'000'000'000; at < start; at += 1'000'000'000) {
      due_.push({at, socket, connection.generation, true});
    }
  }

  void send_due() {
    const std::int64_t now = now_ns();
    while (!due_.empty() && due_.top().at <= now) {
      const Due due = due_.top();
      due_.pop();
      const auto found = connections_.find(due.socket);
      if (found == connections_.end() || found->second.generation != due.generation) continue;
      if (due.keep_alive) {
        send_all(due.socket, "e\r\n: keep-alive\n\n\r\n");
        continue;
      }
      std::array<char, 512> event{};
      const bool last = --found->second.left == 0;
      int size = std::snprintf(
          event.data(), event.size(),
          "data: {\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,"
          "\"model\":\"bench\",\"system_fingerprint\":\"fp_0123456789\",\"choices\":[{\"index\":0,\"delta\":{"
          "\"content\":"
          "\"%020lld\"},\"logprobs\":null,\"finish_reason\":%s}]}\n\n",
          static_cast<long long>(now_ns()), last ? "\"stop\"" : "null");
      std::array<char, 600> chunk{};
      const int whole = std::snprintf(chunk.data(), chunk.size(), "%x\r\n%s\r\n%s", static_cast<unsigned>(size),
                                      event.data(), last ? "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n" : "");
      if (!send_all(due.socket, {chunk.data(), static_cast<std::size_t>(whole)})) continue;
      if (!last) due_.push({due.at + gap_, due.socket, due.generation, false});
    }
  }

  void close(int socket) {
    connections_.erase(socket);
    ::close(socket);
  }

  static std::string make_answer() {
    const std::string body =
        R"({"id":"chatcmpl-0123456789abcdef","object":"chat.completion","created":1790000000,"model":"bench","choices":[)"
        R"({"index":0,"message":{"role":"assistant","content":")" +
        std::string(180, 'a') +
        R"(","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":200,"completion_tokens":50,)"
        R"("total_tokens":250,"prompt_tokens_details":{"cached_tokens":0}}})";
    return "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
  }

  const std::int64_t gap_;
  const int events_;
  const std::int64_t silent_;
  const int listener_;
  const std::string answer_ = make_answer();
  Poller poller_;
  std::unordered_map<int, Connection> connections_;
  std::priority_queue<Due> due_;
  std::uint32_t generations_ = 0;
  std::uint64_t streams_ = 0;
  std::vector<char> buffer_ = std::vector<char>(256 * 1024);
};

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  const auto number = [&](int i, double otherwise) { return argc > i ? std::atof(argv[i]) : otherwise; };
  weir::bench::Origin origin(static_cast<std::uint16_t>(number(1, 9000)), number(2, 60),
                             static_cast<int>(number(3, 100)), static_cast<std::int64_t>(number(4, 0) * 1e6));
  origin.run();
}
