#include "net/listener.hpp"

#include <dirent.h>
#include <unistd.h>

#include <array>
#include <boost/asio/ip/v6_only.hpp>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace weir::net {
namespace {

namespace ip = boost::asio::ip;
using ip::tcp;
using ReusePort = boost::asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

constexpr std::chrono::milliseconds accept_pause{100};

std::string show(const tcp::endpoint& endpoint) {
  std::ostringstream text;
  text << endpoint;
  return text.str();
}

template <class Acceptor>
void bind_and_listen(Acceptor& acceptor, const tcp::endpoint& endpoint, bool reuse_port) {
  acceptor.open(endpoint.protocol());
  acceptor.set_option(tcp::acceptor::reuse_address(true));
  if (endpoint.address().is_v6()) acceptor.set_option(ip::v6_only(true));
  if (reuse_port) acceptor.set_option(ReusePort(true));
  acceptor.bind(endpoint);
  acceptor.listen(4096);
}

// The inode of the socket that listens on a port, from one of the kernel's tables; empty: none there.
std::string listening_inode(const char* table, std::uint16_t port) {
  std::ifstream file(table);
  std::string line;
  std::getline(file, line);
  std::array<char, 5> hex{};
  std::snprintf(hex.data(), hex.size(), "%04X", port);
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string slot, local, remote, state, word;
    words >> slot >> local >> remote >> state;
    if (state != "0A" || local.size() < 4 || local.compare(local.size() - 4, 4, hex.data()) != 0) continue;
    for (int i = 0; i < 6; ++i) words >> word;  // queues, timer, retransmits, uid, timeout, inode
    return word;
  }
  return {};
}

}  // namespace

std::vector<tcp::endpoint> parse_listen(std::string_view text) {
  const auto fail = [&](const char* why) -> std::invalid_argument {
    return std::invalid_argument("'" + std::string(text) + "' is not an address to listen on: " + why +
                                 "; write it as 127.0.0.1:8080, [::1]:8080, localhost:8080 or 0.0.0.0:8080");
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) throw fail("the port is missing");
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size()) throw fail("the port is not a number up to 65535");
  if (host == "localhost") return {{ip::address_v4::loopback(), port}, {ip::address_v6::loopback(), port}};
  if (host.empty() || host == "*") return {{ip::address_v4::any(), port}, {ip::address_v6::any(), port}};
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  if (brackets != (host.find(':') != std::string_view::npos))
    throw fail("IPv6 addresses, and only they, stand in brackets");
  boost::system::error_code not_an_address;
  const auto address = ip::make_address(std::string(host), not_an_address);
  if (not_an_address) throw fail("the host is neither an address nor 'localhost'");
  return {{address, port}};
}

namespace {

// A port that the system chose for the first address may be taken on the second: another one is tried then.
std::vector<tcp::endpoint> claim_once(const std::vector<tcp::endpoint>& endpoints, int tries) {
  boost::asio::io_context io;
  std::vector<tcp::acceptor> held;
  std::vector<tcp::endpoint> claimed;
  for (tcp::endpoint endpoint : endpoints) {
    const bool any_port = endpoint.port() == 0;
    if (any_port && !claimed.empty()) endpoint.port(claimed.front().port());
    held.emplace_back(io);
    try {
      bind_and_listen(held.back(), endpoint, false);
    } catch (const boost::system::system_error& error) {
      const bool no_address = error.code() == boost::asio::error::address_family_not_supported ||
                              error.code() == boost::system::errc::address_not_available;
      if (no_address && endpoints.size() > 1) {
        held.pop_back();
        continue;
      }
      const bool in_use = error.code() == boost::asio::error::address_in_use;
      held.clear();  // they listen on that port too, and are not the ones to name
      if (in_use && any_port && tries < 20) return claim_once(endpoints, tries + 1);
      std::string message = "cannot listen on " + show(endpoint) + ": " + error.code().message();
      if (in_use) {
        const std::string owner = owner_of_port(endpoint.port());
        message += owner.empty() ? "" : " (owned by " + owner + ")";
      }
      throw std::runtime_error(message);
    }
    claimed.push_back(held.back().local_endpoint());
  }
  if (claimed.empty()) throw std::runtime_error("none of the addresses to listen on exists on this machine");
  return claimed;
}

}  // namespace

std::vector<tcp::endpoint> claim(std::vector<tcp::endpoint> endpoints) {
  return claim_once(endpoints, 0);
}

std::string owner_of_port(std::uint16_t port) {
  std::string inode = listening_inode("/proc/net/tcp", port);
  if (inode.empty()) inode = listening_inode("/proc/net/tcp6", port);
  if (inode.empty()) return {};
  const std::string wanted = "socket:[" + inode + "]";
  DIR* processes = ::opendir("/proc");
  if (!processes) return {};
  std::string owner;
  while (const dirent* process = owner.empty() ? ::readdir(processes) : nullptr) {
    const std::string pid = process->d_name;
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string folder = "/proc/" + pid + "/fd";
    DIR* descriptors = ::opendir(folder.c_str());
    if (!descriptors) continue;
    while (const dirent* descriptor = ::readdir(descriptors)) {
      std::array<char, 64> target{};
      const ssize_t size = ::readlink((folder + "/" + descriptor->d_name).c_str(), target.data(), target.size() - 1);
      if (size <= 0 || wanted != target.data()) continue;
      std::ifstream comm("/proc/" + pid + "/comm");
      std::string name;
      std::getline(comm, name);
      owner = "pid " + pid + (name.empty() ? "" : " (" + name + ")");
      break;
    }
    ::closedir(descriptors);
  }
  ::closedir(processes);
  return owner;
}

Listener::Listener(Worker& worker, const tcp::endpoint& endpoint, OnSocket on_socket, OnFailure on_failure)
    : worker_(worker),
      on_socket_(std::move(on_socket)),
      on_failure_(std::move(on_failure)),
      acceptor_(worker.io()),
      pause_(worker.io()) {
  try {
    bind_and_listen(acceptor_, endpoint, true);
  } catch (const boost::system::system_error& error) {
    throw std::runtime_error("cannot listen on " + show(endpoint) + ": " + error.code().message());
  }
}

void Listener::start() {
  accept();
}

void Listener::stop() {
  stopped_ = true;
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
}

void Listener::accept() {
  acceptor_.async_accept(
      [this, alive = std::weak_ptr<Listener*>(self_)](const boost::system::error_code& error, Socket socket) {
        if (alive.expired() || stopped_ || error == boost::asio::error::operation_aborted) return;
        if (!error) {
          on_socket_(std::move(socket));
          return accept();
        }
        if (error == boost::asio::error::connection_aborted) return accept();
        on_failure_(error.message());
        pause_.expires_after(accept_pause);
        pause_.async_wait([this, alive](const boost::system::error_code& cancelled) {
          if (!alive.expired() && !cancelled && !stopped_) accept();
        });
      });
}

}  // namespace weir::net
