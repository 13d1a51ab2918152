// Addresses as people write them: listeners ("localhost:8080", "0.0.0.0:8080", "[::1]:8080") and upstream URLs
// ("https://api.deepseek.com/v1"). Pure text to values; resolves no names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace weir::app {

struct ListenAddress {
  std::string host;  // an address without brackets, or "localhost", which stands for 127.0.0.1 and ::1
  std::uint16_t port = 0;
};

// The value, or one sentence saying what is wrong and what to write instead.
std::variant<ListenAddress, std::string> parse_listen_address(std::string_view text);
std::string to_string(const ListenAddress& address);  // "[::1]:8080"

bool is_loopback(const std::vector<ListenAddress>& addresses);  // all of them

// The sockets to open: `localhost` becomes 127.0.0.1 and ::1, because Node resolves it to ::1 first.
std::vector<ListenAddress> bind_addresses(const std::vector<ListenAddress>& addresses);

// Whether a connection to one of two such sockets could as well be meant for the other. Port 0 takes a free one.
bool meet(const ListenAddress& a, const ListenAddress& b);

struct BaseUrl {
  bool tls = true;
  std::string host;  // without brackets, lower case
  std::uint16_t port = 443;
  std::string authority;  // as the Host header wants it
  std::string path;       // "" or "/v1": no slash at the end
};
std::variant<BaseUrl, std::string> parse_base_url(std::string_view text);

}  // namespace weir::app
