#include "net/http_proxy.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <charconv>
#include <cstdlib>
#include <stdexcept>

#include "net/head.hpp"
#include "net/hex.hpp"
#include "net/loopback.hpp"

namespace weir::net {
namespace {

namespace ip = boost::asio::ip;

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

std::string base64(std::string_view text) {
  std::string out(4 * ((text.size() + 2) / 3), '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(text.data()),
                  static_cast<int>(text.size()));
  return out;
}

std::optional<ProxyHop> parse_proxy(std::string_view url) {
  if (url.empty()) return std::nullopt;
  const std::string shown(url.substr(url.rfind('@') + 1));  // npos + 1: all of it
  const auto scheme = url.find("://");
  if (scheme != std::string_view::npos) {
    if (!equals_ignoring_case(url.substr(0, scheme), "http")) {
      throw std::invalid_argument("proxy '" + shown + "': only http:// proxies are supported");
    }
    url.remove_prefix(scheme + 3);
  }
  url = url.substr(0, url.find('/'));
  ProxyHop hop;
  if (const auto at = url.rfind('@'); at != std::string_view::npos) {
    const std::string_view credentials = url.substr(0, at);
    const bool user_alone = credentials.find(':') == std::string_view::npos;
    hop.authorization = "Basic " + base64(percent_decoded(credentials) + (user_alone ? ":" : ""));
    url.remove_prefix(at + 1);
  }
  std::string_view host = url, port;
  if (!url.empty() && url.front() == '[') {
    const auto close = url.find(']');
    if (close == std::string_view::npos) throw std::invalid_argument("proxy '" + shown + "': '[' without ']'");
    host = url.substr(1, close - 1);
    const std::string_view rest = url.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') throw std::invalid_argument("proxy '" + shown + "': no port after ']'");
    if (!rest.empty()) port = rest.substr(1);
  } else if (const auto colon = url.rfind(':'); colon != std::string_view::npos) {
    host = url.substr(0, colon);
    port = url.substr(colon + 1);
  }
  if (host.empty()) throw std::invalid_argument("proxy '" + shown + "': no host");
  hop.host = std::string(host);
  if (!port.empty()) {
    const auto number = parse_port(port);
    if (!number) throw std::invalid_argument("proxy '" + shown + "': bad port");
    hop.port = *number;
  }
  return hop;
}

bool in_network(const std::string& entry, const ip::address& address) {
  boost::system::error_code error;
  if (address.is_v4()) {
    const auto network = ip::make_network_v4(entry, error);
    if (error) return false;
    const auto bits = network.netmask().to_uint();
    return (address.to_v4().to_uint() & bits) == (network.address().to_uint() & bits);
  }
  const auto network = ip::make_network_v6(entry, error);
  if (error) return false;
  return ip::network_v6(address.to_v6(), network.prefix_length()).canonical() == network.canonical();
}

bool excepts(std::string entry, std::string_view host, std::uint16_t port) {
  if (entry == "*") return true;
  boost::system::error_code error;
  const auto address = ip::make_address(std::string(host), error);
  const bool host_is_address = !error;
  if (host_is_address && entry.find('/') != std::string::npos) return in_network(entry, address);
  // host:port, unless the colons are an IPv6 address's own.
  if (const auto colon = entry.rfind(':');
      colon != std::string::npos && (entry.find(':') == colon || entry[colon - 1] == ']')) {
    const auto number = parse_port(std::string_view(entry).substr(colon + 1));
    if (number && *number != port) return false;
    entry.erase(colon);
  }
  if (entry.size() > 2 && entry.front() == '[' && entry.back() == ']') entry = entry.substr(1, entry.size() - 2);
  if (entry == "*") return true;
  if (host_is_address) {
    const auto excepted = ip::make_address(entry, error);
    return !error && excepted == address;
  }
  while (!entry.empty() && (entry.front() == '.' || entry.front() == '*')) entry.erase(0, 1);
  if (entry.empty()) return false;
  if (equals_ignoring_case(host, entry)) return true;
  return host.size() > entry.size() && host[host.size() - entry.size() - 1] == '.' &&
         equals_ignoring_case(host.substr(host.size() - entry.size()), entry);
}

std::string from_env(const char* upper, const char* lower) {
  // Lower case first, as curl does: HTTP_PROXY can be set by a request header in CGI surroundings.
  for (const char* name : {lower, upper}) {
    if (const char* value = std::getenv(name); value && *value) return value;
  }
  return {};
}

}  // namespace

ProxyRules::ProxyRules(std::string_view https_proxy, std::string_view http_proxy, std::string_view no_proxy)
    : https_(parse_proxy(https_proxy)), http_(parse_proxy(http_proxy)) {
  std::string entry;
  for (const char c : no_proxy) {
    if (c == ',' || c == ' ' || c == '\t') {
      if (!entry.empty()) exceptions_.push_back(std::move(entry));
      entry.clear();
    } else {
      entry += c;
    }
  }
  if (!entry.empty()) exceptions_.push_back(std::move(entry));
}

ProxyRules ProxyRules::from_environment() {
  return ProxyRules(from_env("HTTPS_PROXY", "https_proxy"), from_env("HTTP_PROXY", "http_proxy"),
                    from_env("NO_PROXY", "no_proxy"));
}

std::optional<ProxyHop> ProxyRules::hop_for(bool tls, std::string_view host, std::uint16_t port) const {
  const std::optional<ProxyHop>& hop = tls ? https_ : http_;
  if (!hop || is_loopback_host(host)) return std::nullopt;
  const bool excepted = std::any_of(exceptions_.begin(), exceptions_.end(),
                                    [&](const std::string& entry) { return excepts(entry, host, port); });
  return excepted ? std::nullopt : hop;
}

}  // namespace weir::net
