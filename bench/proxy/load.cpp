// The clients of the bench. Prints one line of JSON: what was done and how long it took.
//
//   proxy_load PORT plain  CONNECTIONS SECONDS BODY_BYTES [RATE]   calls one after the other, or at RATE per second in
//   all proxy_load PORT churn  CONNECTIONS SECONDS BODY_BYTES          the same, each call on a connection of its own
//   proxy_load PORT stream STREAMS SECONDS BODY_BYTES [WARM]       that many streams at any time; times count after
//   WARM
//                                                                 seconds, when not all of them begin at once any more
//   proxy_load PORT hold   STREAMS SECONDS BODY_BYTES              opens streams and reads what comes, no more
//
// Times: of an answer, from the first byte sent to its last; of an event, from its sending by proxy_origin.
#include <algorithm>
#include <unordered_map>
#include <vector>

#include "poller.hpp"

namespace weir::bench {
namespace {

struct Options {
  std::uint16_t port = 0;
  std::string mode;
  int connections = 0;
  double seconds = 0;
  std::size_t body_bytes = 0;
  double rate = 0;          // per second over all connections; 0: as fast as answers come
  double warm_seconds = 0;  // of streams
};

struct Connection {
  std::string in;
  std::int64_t began = 0;
  bool busy = false;
  bool content = false;  // of this stream
};

class Load {
 public:
  explicit Load(const Options& options) : options_(options), request_(make_request()) {}

  void run() {
    const std::int64_t start = now_ns();
    end_ = start + static_cast<std::int64_t>(options_.seconds * 1e9);
    warm_end_ = start + static_cast<std::int64_t>(options_.warm_seconds * 1e9);
    next_ = start;
    for (int i = 0; i < options_.connections; ++i) connect();
    for (;;) {
      const std::int64_t now = now_ns();
      if (now >= end_) break;
      send_paced(now);
      poller_.wait(std::min(end_, paced() ? next_ : end_),
                   [this](int socket, std::uint32_t events) { ready(socket, events); });
    }
    print(static_cast<double>(now_ns() - start) / 1e9);
  }

 private:
  bool paced() const { return options_.rate > 0; }
  bool streams() const { return options_.mode == "stream" || options_.mode == "hold"; }

  std::string make_request() const {
    std::string body = streams() ? R"({"stream":true,"model":"bench","messages":[{"role":"user","content":")"
                                 : R"({"model":"bench","messages":[{"role":"user","content":")";
    constexpr std::string_view words = "The quick brown fox jumps over the lazy dog near the old river bank today. ";
    while (body.size() + 4 < options_.body_bytes) body += words.substr(0, options_.body_bytes - 4 - body.size());
    body += R"("}]})";
    return "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: "
           "Bearer "
           "weir-bench-key\r\nuser-agent: bench\r\naccept: application/json\r\ncontent-length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
  }

  void connect() {
    const int socket = open_socket();
    const sockaddr_in address = loopback(options_.port);
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS)
      fail("connect");
    connections_[socket] = {};
    poller_.add(socket, EPOLLIN | EPOLLOUT);
  }

  void ready(int socket, std::uint32_t events) {
    const auto found = connections_.find(socket);
    if (found == connections_.end()) return;
    if ((events & EPOLLOUT) != 0) {  // connected
      poller_.change(socket, EPOLLIN);
      paced() ? idle_.push_back(socket) : send(socket, found->second);
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read(socket, found->second);
  }

  void send(int socket, Connection& connection) {
    connection.busy = true;
    connection.content = false;
    connection.began = now_ns();
    if (!send_all(socket, request_)) lose(socket);
  }

  void send_paced(std::int64_t now) {
    while (paced() && next_ <= now) {
      if (idle_.empty()) {
        ++late_;
      } else {
        const int socket = idle_.back();
        idle_.pop_back();
        send(socket, connections_[socket]);
      }
      next_ += static_cast<std::int64_t>(1e9 / options_.rate);
    }
  }

  void read(int socket, Connection& connection) {
    for (;;) {
      const ssize_t got = ::recv(socket, buffer_.data(), buffer_.size(), 0);
      if (got == 0 || (got < 0 && errno != EAGAIN)) return lose(socket);
      if (got < 0) return;
      const std::string_view bytes(buffer_.data(), static_cast<std::size_t>(got));
      if (streams()) {
        take_events(socket, connection, bytes);
      } else {
        connection.in.append(bytes);
        if (answer_complete(connection.in)) finish(socket, connection);
      }
      if (static_cast<std::size_t>(got) < buffer_.size()) return;
    }
  }

  static bool answer_complete(const std::string& in) {
    const std::size_t end = in.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    return in.size() >= end + 4 + header_number(std::string_view(in).substr(0, end + 2), "content-length", 0);
  }

  void take_events(int socket, Connection& connection, std::string_view bytes) {
    const std::int64_t now = now_ns();
    connection.in.append(bytes);
    constexpr std::string_view marker = "\"content\":\"";
    std::size_t at = 0;
    for (std::size_t found; (found = connection.in.find(marker, at)) != std::string::npos;) {
      if (connection.in.size() < found + marker.size() + 20) break;
      const std::int64_t sent = std::atoll(connection.in.c_str() + found + marker.size());
      ++events_;
      if (now >= warm_end_) delays_.push_back(now - sent);
      if (!connection.content) {
        connection.content = true;
        if (now >= warm_end_) first_contents_.push_back(now - connection.began);
      }
      at = found + marker.size() + 20;
    }
    const bool over = connection.in.find("data: [DONE]") != std::string::npos &&
                      std::string_view(connection.in).ends_with("0\r\n\r\n");
    connection.in.erase(0, over ? connection.in.size() : at);
    if (over) finish(socket, connection);
  }

  void finish(int socket, Connection& connection) {
    if (!connection.in.empty() && connection.in.compare(9, 3, "200") != 0) ++refused_;
    connection.in.clear();
    connection.busy = false;
    ++answers_;
    answer_times_.push_back(now_ns() - connection.began);
    if (options_.mode == "churn") {
      connections_.erase(socket);
      ::close(socket);
      connect();
    } else if (paced()) {
      idle_.push_back(socket);
    } else {
      send(socket, connection);
    }
  }

  void lose(int socket) {
    ++lost_;
    connections_.erase(socket);
    ::close(socket);
    std::erase(idle_, socket);
    if (lost_ < 1000) connect();
  }

  static double microseconds_at(std::vector<std::int64_t>& times, double share) {
    if (times.empty()) return 0;
    const auto place = times.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(times.size() - 1));
    std::nth_element(times.begin(), place, times.end());
    return static_cast<double>(*place) / 1000;
  }

  void print(double seconds) {
    std::printf(
        R"({"seconds":%.3f,"answers":%llu,"events":%llu,"refused":%llu,"lost":%llu,"late":%llu,"answer_p50_us":%.1f,)"
        R"("answer_p99_us":%.1f,"event_p50_us":%.1f,"event_p99_us":%.1f,"first_content_p50_us":%.1f,)"
        R"("first_content_p99_us":%.1f})"
        "\n",
        seconds, answers_, events_, refused_, lost_, late_, microseconds_at(answer_times_, 0.5),
        microseconds_at(answer_times_, 0.99), microseconds_at(delays_, 0.5), microseconds_at(delays_, 0.99),
        microseconds_at(first_contents_, 0.5), microseconds_at(first_contents_, 0.99));
  }

  Options options_;
  std::string request_;
  Poller poller_;
  std::unordered_map<int, Connection> connections_;
  std::vector<int> idle_;
  std::vector<char> buffer_ = std::vector<char>(64 * 1024);
  std::int64_t end_ = 0, next_ = 0, warm_end_ = 0;
  unsigned long long answers_ = 0, events_ = 0, refused_ = 0, lost_ = 0, late_ = 0;
  std::vector<std::int64_t> answer_times_, delays_, first_contents_;
};

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fputs("usage: proxy_load PORT plain|churn|stream|hold CONNECTIONS SECONDS BODY_BYTES [RATE]\n", stderr);
    return 2;
  }
  weir::bench::Options options;
  options.port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  options.mode = argv[2];
  options.connections = std::atoi(argv[3]);
  options.seconds = std::atof(argv[4]);
  options.body_bytes = static_cast<std::size_t>(std::atoll(argv[5]));
  (options.mode == "stream" ? options.warm_seconds : options.rate) = argc > 6 ? std::atof(argv[6]) : 0;
  weir::bench::Load(options).run();
}
