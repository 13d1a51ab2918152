#include "net/loopback.hpp"

#include <boost/asio/ip/address.hpp>
#include <string>

#include "net/head.hpp"

namespace weir::net {

bool is_loopback_address(std::string_view text) {
  namespace ip = boost::asio::ip;
  boost::system::error_code error;
  const ip::address address = ip::make_address(std::string(text), error);
  if (error) return false;
  const bool mapped = address.is_v6() && address.to_v6().is_v4_mapped();
  return mapped ? ip::make_address_v4(ip::v4_mapped, address.to_v6()).is_loopback() : address.is_loopback();
}

bool is_loopback_host(std::string_view host) {
  constexpr std::string_view below = ".localhost";
  if (equals_ignoring_case(host, "localhost")) return true;
  if (host.size() > below.size() && equals_ignoring_case(host.substr(host.size() - below.size()), below)) return true;
  return is_loopback_address(host);
}

bool is_loopback_in_host_field(std::string_view host) {
  return equals_ignoring_case(host, "localhost") || host == "[::1]" ||
         (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos);
}

}  // namespace weir::net
