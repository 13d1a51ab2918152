#include "app/health.hpp"

#include <sys/socket.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <iostream>

namespace weir::app {
namespace {

using boost::asio::ip::tcp;

// A health check that hangs is a failed one; container runtimes give up after a few seconds themselves.
constexpr timeval patience{3, 0};

std::string ask(const ListenAddress& address) {
  boost::asio::io_context io;
  tcp::socket socket(io);
  const std::string host = address.host == "localhost" || address.host == "0.0.0.0" ? "127.0.0.1" : address.host == "::" ? "::1" : address.host;
  socket.open(host.find(':') == std::string::npos ? tcp::v4() : tcp::v6());
  ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  socket.connect({boost::asio::ip::make_address(host), address.port});
  const std::string request = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  boost::asio::write(socket, boost::asio::buffer(request));
  std::string answer;
  std::array<char, 4096> bytes{};
  for (;;) {
    boost::system::error_code error;
    const std::size_t got = socket.read_some(boost::asio::buffer(bytes), error);
    answer.append(bytes.data(), got);
    if (error) return answer;
  }
}

}  // namespace

int run_health(const Overrides& overrides) {
  // Only the address matters, so a configuration that could not be served is still good enough to ask by.
  const Environment environment = process_environment();
  std::vector<ListenAddress> addresses = OperatorConfig{}.listen;
  const auto variable = environment.variable("WEIR_OPERATOR_LISTEN");
  const auto path = overrides.config ? overrides.config : environment.variable("WEIR_CONFIG");
  if (overrides.operator_listen || (variable && !variable->empty())) {
    const auto parsed = parse_listen_address(overrides.operator_listen ? *overrides.operator_listen : *variable);
    if (const auto* fault = std::get_if<std::string>(&parsed)) {
      std::cerr << "weir health: " << *fault << '\n';
      return 2;
    }
    addresses = {std::get<ListenAddress>(parsed)};
  } else if (path) {
    Problems ignored;
    if (const auto text = environment.read_file(*path)) addresses = read_config(*text, *path, environment, ignored).operators.listen;
  }
  try {
    const std::string answer = ask(addresses.front());
    if (answer.starts_with("HTTP/1.1 200")) return 0;
    const auto body = answer.find("\r\n\r\n");
    std::cerr << "weir health: not ready: " << (body == std::string::npos ? answer : answer.substr(body + 4)) << '\n';
  } catch (const std::exception& error) {
    std::cerr << "weir health: nobody answers on " << to_string(addresses.front()) << ": " << error.what() << '\n';
  }
  return 1;
}

}  // namespace weir::app
