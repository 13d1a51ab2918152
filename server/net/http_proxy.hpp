// Which upstreams are reached through an HTTP proxy: HTTPS_PROXY, HTTP_PROXY, NO_PROXY (lower case too), as curl and
// the SDKs read them. Never for loopback. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::net {

// A proxy to go through.
struct ProxyHop {
  std::string host;
  std::uint16_t port = 80;
  std::string authorization;  // "Basic …" or empty
};

class ProxyRules {
 public:
  ProxyRules() = default;
  // Values as in the environment; empty: not set. Throws std::invalid_argument for a URL it cannot use.
  ProxyRules(std::string_view https_proxy, std::string_view http_proxy, std::string_view no_proxy);
  static ProxyRules from_environment();

  // NO_PROXY entries: `*`, a host with all its subdomains (leading dot or not), an address, a CIDR block, each with an
  // optional port.
  std::optional<ProxyHop> hop_for(bool tls, std::string_view host, std::uint16_t port) const;

 private:
  std::optional<ProxyHop> https_, http_;
  std::vector<std::string> exceptions_;
};

}  // namespace weir::net
