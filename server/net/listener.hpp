// Accepts connections for one worker. Several workers accept on the same address through SO_REUSEPORT; the addresses
// are claimed first without it, because with it a second weir would start silently on a port that is taken.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/socket_wire.hpp"
#include "net/worker.hpp"

namespace weir::net {

// "127.0.0.1:8080", "[::1]:8080", "0.0.0.0:80", ":8080" (all addresses), "localhost:8080" (both loopbacks).
// Throws std::invalid_argument.
std::vector<boost::asio::ip::tcp::endpoint> parse_listen(std::string_view text);

// Makes sure that nobody listens there and finds a port where 0 is asked for (the same one for every address).
// Throws std::runtime_error naming the address and, if it can be known, the process that owns it. IPv6 addresses are
// skipped where the machine has no IPv6 and another address is left.
std::vector<boost::asio::ip::tcp::endpoint> claim(std::vector<boost::asio::ip::tcp::endpoint> endpoints);

// "pid 4711 (nginx)" for a local listener on this port; empty: not known.
std::string owner_of_port(std::uint16_t port);

class Listener {
 public:
  using OnSocket = std::function<void(Socket)>;
  using OnFailure = std::function<void(const std::string& why)>;  // it tries again after a pause

  // Throws std::runtime_error when the address cannot be listened on.
  Listener(
      Worker& worker, const boost::asio::ip::tcp::endpoint& endpoint, OnSocket on_socket,
      OnFailure on_failure = [](const std::string&) {});
  void start();
  void stop();

 private:
  using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;
  void accept();

  Worker& worker_;
  OnSocket on_socket_;
  OnFailure on_failure_;
  Acceptor acceptor_;
  boost::asio::steady_timer pause_;  // after an error such as "too many open files": accepting again at once would spin
  bool stopped_ = false;
  std::shared_ptr<Listener*> self_ = std::make_shared<Listener*>(this);  // an accept may complete when this is gone
};

}  // namespace weir::net
