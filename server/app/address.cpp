#include "app/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

#include "net/loopback.hpp"

namespace weir::app {
namespace {

bool is_ipv4(const std::string& host) {
  in_addr address{};
  return inet_pton(AF_INET, host.c_str(), &address) == 1;
}

bool is_ipv6(const std::string& host) {
  in6_addr address{};
  return inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(value);
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

bool is_host_name(std::string_view host) {
  return !host.empty() && host.size() <= 253 && host.front() != '.' && host.front() != '-' &&
         std::all_of(host.begin(), host.end(),
                     [](unsigned char c) { return c < 0x80 && (std::isalnum(c) || c == '-' || c == '.' || c == '_'); });
}

struct HostPort {
  std::string host;
  std::string port;  // empty: none was said
  bool bracketed = false;
};

std::optional<HostPort> split_host_port(std::string_view text) {
  HostPort result;
  std::string_view rest;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    result.host = text.substr(1, close - 1);
    result.bracketed = true;
    rest = text.substr(close + 1);
  } else {
    const auto colon = text.find(':');
    result.host = text.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view{} : text.substr(colon);
  }
  if (rest.empty()) return result;
  if (!rest.starts_with(':') || rest.size() == 1) return std::nullopt;
  result.port = rest.substr(1);
  return result;
}

// What people paste instead of a base URL: the address of one endpoint.
constexpr std::string_view endpoint_paths[] = {"/chat/completions", "/completions", "/embeddings", "/responses",
                                               "/messages"};

std::variant<BaseUrl, std::string> fault(std::string text) {
  return text;
}

}  // namespace

std::variant<ListenAddress, std::string> parse_listen_address(std::string_view text) {
  const std::string shown = "'" + std::string(text.substr(0, 80)) + "'";
  if (!text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); })) {
    return "expected host:port, found " + shown + "; write localhost:" + std::string(text.substr(0, 8));
  }
  if (std::count(text.begin(), text.end(), ':') > 1 && !text.starts_with('[')) {
    return "put an IPv6 address in brackets, such as [::1]:8080; found " + shown;
  }
  if (text.starts_with(':') || text.starts_with("*:")) {
    const std::string port(text.substr(text.find(':') + 1).substr(0, 8));
    return "expected an address before the port: 0.0.0.0:" + port + " for every IPv4 address, [::]:" + port +
           " for every IPv6 one";
  }
  const auto split = split_host_port(text);
  if (!split || split->port.empty()) return "expected host:port such as localhost:8080, found " + shown;
  const auto port = parse_port(split->port);
  if (!port) return "the port of " + shown + " is not a number from 0 to 65535";
  const std::string host = lower_case(split->host);
  const bool valid = split->bracketed ? is_ipv6(host) : (is_ipv4(host) || host == "localhost");
  if (!valid) return "expected an IP address or localhost, found " + shown;
  return ListenAddress{host, *port};
}

std::string to_string(const ListenAddress& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

bool is_loopback(const std::vector<ListenAddress>& addresses) {
  return std::all_of(addresses.begin(), addresses.end(),
                     [](const auto& address) { return net::is_loopback_host(address.host); });
}

bool meet(const ListenAddress& a, const ListenAddress& b) {
  if (a.port != b.port || a.port == 0) return false;
  const auto is_v6 = [](const ListenAddress& address) { return address.host.find(':') != std::string::npos; };
  const auto takes_all = [](const ListenAddress& address) { return address.host == "0.0.0.0" || address.host == "::"; };
  return a.host == b.host || (is_v6(a) == is_v6(b) && (takes_all(a) || takes_all(b)));
}

std::vector<ListenAddress> bind_addresses(const std::vector<ListenAddress>& addresses) {
  std::vector<ListenAddress> result;
  for (const auto& address : addresses) {
    if (address.host == "localhost") {
      result.push_back({"127.0.0.1", address.port});
      result.push_back({"::1", address.port});
    } else {
      result.push_back(address);
    }
  }
  return result;
}

std::variant<BaseUrl, std::string> parse_base_url(std::string_view text) {
  const std::string shown = "'" + std::string(text.substr(0, 120)) + "'";
  if (std::any_of(text.begin(), text.end(), [](unsigned char c) { return c <= 0x20 || c >= 0x7f; })) {
    return fault("the URL has a space or a character beyond ASCII in it");
  }
  const auto scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos)
    return fault("expected a URL with its scheme, such as https://" + std::string(text.substr(0, 80)));
  const std::string scheme = lower_case(text.substr(0, scheme_end));
  BaseUrl url;
  if (scheme == "https")
    url.tls = true;
  else if (scheme == "http")
    url.tls = false;
  else
    return fault("expected http:// or https://, found '" + scheme.substr(0, 16) + "://'");
  std::string_view rest = text.substr(scheme_end + 3);
  if (rest.find_first_of("?#") != std::string_view::npos)
    return fault("a base URL has no '?' and no '#'; a query goes into `query`");
  const auto path_start = rest.find('/');
  const std::string_view authority = rest.substr(0, path_start);
  std::string_view path = path_start == std::string_view::npos ? std::string_view{} : rest.substr(path_start);
  if (authority.find('@') != std::string_view::npos) return fault("put the key into api_key, not into the URL");
  const auto split = split_host_port(authority);
  if (!split) return fault("the host of the URL is not valid");
  url.host = lower_case(split->host);
  if (split->bracketed ? !is_ipv6(url.host) : !is_host_name(url.host))
    return fault("the host of " + shown + " is not valid");
  const std::uint16_t usual = url.tls ? 443 : 80;
  url.port = usual;
  if (!split->port.empty()) {
    const auto port = parse_port(split->port);
    if (!port || *port == 0) return fault("the port of " + shown + " is not a number from 1 to 65535");
    url.port = *port;
  }
  url.authority = split->bracketed ? "[" + url.host + "]" : url.host;
  if (url.port != usual) url.authority += ":" + std::to_string(url.port);
  while (path.ends_with('/')) path.remove_suffix(1);
  for (const std::string_view endpoint : endpoint_paths) {
    if (path.ends_with(endpoint)) {
      const std::string base(text.substr(0, text.rfind(endpoint)));
      return fault("this is the address of one endpoint; the base URL is " + base);
    }
  }
  if (path.find("//") != std::string_view::npos || path.find("/.") != std::string_view::npos)
    return fault("the path of " + shown + " is not plain");
  url.path = path;
  return url;
}

}  // namespace weir::app
