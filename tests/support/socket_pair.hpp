// Two connected TCP sockets of one worker, over the loopback device: for tests that need a kernel between the two ends.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <utility>

#include "net/socket_wire.hpp"
#include "net/worker.hpp"
#include "support/blocking_socket.hpp"

namespace weir::test {

inline std::pair<net::Socket, net::Socket> make_socket_pair(net::Worker& worker) {
  namespace ip = boost::asio::ip;
  boost::asio::basic_socket_acceptor<ip::tcp, boost::asio::io_context::executor_type> acceptor(
      worker.io(), ip::tcp::endpoint(ip::address_v4::loopback(), 0));
  net::Socket left(worker.io());
  left.connect(acceptor.local_endpoint());
  net::Socket right = acceptor.accept();
  return {std::move(left), std::move(right)};
}

// A socket of the worker whose other end is the test's own.
inline std::pair<net::Socket, BlockingSocket> make_socket_and_peer(net::Worker& worker) {
  auto [socket, other] = make_socket_pair(worker);
  const int fd = ::dup(other.native_handle());
  other.close();
  return {std::move(socket), BlockingSocket(fd)};
}

}  // namespace weir::test
