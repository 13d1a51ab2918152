#include "app/ask_operator.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "app/config.hpp"

namespace weir::app {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::size_t answer_bytes_max = 8 << 20;  // a thousand who wait take half of it

class Socket {
 public:
  explicit Socket(int family) : fd_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

  // Whether one of `events` came before `end`.
  bool wait(short events, Clock::time_point end) const {
    for (;;) {
      const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now());
      if (left.count() <= 0) return false;
      pollfd entry{fd_, events, 0};
      const int ready = ::poll(&entry, 1, static_cast<int>(left.count()));
      if (ready > 0) return true;
      if (ready < 0 && errno != EINTR) return false;
    }
  }

 private:
  int fd_;
};

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

// Where to ask a server that listens on `address`: one that listens everywhere is asked by loopback.
SocketAddress address_to_ask(const ListenAddress& address) {
  std::string host = address.host;
  if (host == "localhost" || host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  SocketAddress result;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    result.size = sizeof v4;
    std::memcpy(&result.storage, &v4, sizeof v4);
  } else if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    result.size = sizeof v6;
    std::memcpy(&result.storage, &v6, sizeof v6);
  }
  return result;
}

std::string nobody(const ListenAddress& address, const std::string& why) {
  return "nobody answers on " + to_string(address) + ": " + why;
}

}  // namespace

std::variant<OperatorAnswer, std::string> ask_operator(const ListenAddress& address, const OperatorQuestion& question) {
  const auto end = Clock::now() + question.patience;
  const std::string too_slow = "no answer within " + std::to_string(question.patience.count()) + " ms";
  const SocketAddress to = address_to_ask(address);
  const Socket socket(to.storage.ss_family);
  if (socket.fd() < 0) return nobody(address, std::strerror(errno));
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&to.storage), to.size) != 0) {
    if (errno != EINPROGRESS) return nobody(address, std::strerror(errno));
    if (!socket.wait(POLLOUT, end)) return nobody(address, too_slow);
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return nobody(address, std::strerror(error));
  }
  // So short that it fits into the buffer of a new connection, or something is wrong.
  std::string request = "GET " + question.path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
  if (!question.token.empty()) request += "Authorization: Bearer " + question.token + "\r\n";
  request += "\r\n";
  if (::send(socket.fd(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    return nobody(address, std::strerror(errno));
  }
  std::string answer;
  std::array<char, 4096> bytes{};
  while (answer.size() < answer_bytes_max) {
    if (!socket.wait(POLLIN, end)) return nobody(address, too_slow);
    const ssize_t got = ::recv(socket.fd(), bytes.data(), bytes.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    answer.append(bytes.data(), static_cast<std::size_t>(got));
  }
  if (answer.empty()) return nobody(address, "the connection was closed without an answer");
  constexpr std::string_view version = "HTTP/1.1 ";
  const auto head_end = answer.find("\r\n\r\n");
  if (!answer.starts_with(version) || head_end == std::string::npos)
    return "something else answers: " + answer.substr(0, 80);
  return OperatorAnswer{std::atoi(answer.c_str() + version.size()), answer.substr(head_end + 4)};
}

std::variant<OperatorPlace, std::string> operator_place(const Overrides& overrides) {
  // Only this much matters, so a configuration that could not be served is still good enough to ask by.
  const Environment environment = process_environment();
  OperatorConfig config;
  Problems problems;
  const auto path = overrides.config ? overrides.config : environment.variable("WEIR_CONFIG");
  OperatorPlace place;
  if (path && !path->empty()) {
    if (const auto text = environment.read_file(*path)) {
      config = read_config(*text, *path, environment, problems).operators;
      // The first mistake of a file that cannot be read as one at all.
      if (!problems.empty() && config.place.source.empty()) place.doubt = to_string(Problems{problems.front()});
    } else {
      place.doubt = *path + ": cannot be read\n";
    }
  }
  std::string unusable;
  place.token = secret_variable(environment, "WEIR_OPERATOR_TOKEN", unusable).value_or(config.token);
  if (!unusable.empty()) return "WEIR_OPERATOR_TOKEN: " + unusable;
  const auto variable = environment.variable("WEIR_OPERATOR_LISTEN");
  if (overrides.operator_listen || (variable && !variable->empty())) {
    const std::string& all = overrides.operator_listen ? *overrides.operator_listen : *variable;
    const auto parsed = parse_listen_address(std::string_view(all).substr(0, all.find(',')));
    if (const auto* fault = std::get_if<std::string>(&parsed)) return *fault;
    place.address = std::get<ListenAddress>(parsed);
    place.doubt.clear();
  } else if (config.listen.empty()) {
    return to_string(problems);  // what was written there is no address
  } else {
    place.address = config.listen.front();
  }
  if (!place.doubt.empty()) {
    place.doubt.pop_back();  // the end of the line
    place.doubt += "; " + to_string(place.address) + " is asked, where operators listen unless said otherwise";
  }
  return place;
}

}  // namespace weir::app
