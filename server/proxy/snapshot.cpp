#include "proxy/snapshot.hpp"

#include <cstring>
#include <map>
#include <utility>

namespace weir::proxy {

const Upstream* Snapshot::upstream_named(std::string_view name) const {
  for (const Upstream& upstream : settings->upstreams) {
    if (upstream.name == name) return &upstream;
  }
  return nullptr;
}

std::size_t Snapshot::index_of(const Upstream& upstream) const {
  return static_cast<std::size_t>(&upstream - settings->upstreams.data());
}

SnapshotPtr make_snapshot(SettingsPtr settings, const net::ProxyRules& proxies, net::SslContextPtr client_tls) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->client_tls = std::move(client_tls);
  // Loading a trust store takes tens of milliseconds and over a megabyte: one context per trust setting.
  std::map<std::pair<std::string, bool>, net::SslContextPtr> contexts;
  for (const Upstream& upstream : settings->upstreams) {
    net::Endpoint endpoint;
    endpoint.host = upstream.host;
    endpoint.port = upstream.port;
    endpoint.connect_max = upstream.timeouts.connect;
    endpoint.tls_max = upstream.timeouts.tls;
    endpoint.proxy = proxies.hop_for(upstream.tls, upstream.host, upstream.port);
    endpoint.key = (upstream.tls ? "https://" : "http://") + upstream.host + ":" + std::to_string(upstream.port);
    if (endpoint.proxy) endpoint.key += "|" + endpoint.proxy->host + ":" + std::to_string(endpoint.proxy->port);
    if (upstream.tls) {
      auto& context = contexts[{upstream.ca_file, upstream.verify_tls}];
      if (!context) context = net::make_client_tls(upstream.ca_file, upstream.verify_tls);
      endpoint.tls = context;
      endpoint.key += (upstream.verify_tls ? "|" : "|unverified|") + upstream.ca_file;
    }
    snapshot->endpoints.push_back(std::move(endpoint));
  }
  const auto& keys = settings->clients.keys;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    std::uint64_t prefix = 0;
    std::memcpy(&prefix, keys[i].sha256.data(), sizeof prefix);
    snapshot->keys_by_hash.emplace(prefix, i);
  }
  snapshot->settings = std::move(settings);
  return snapshot;
}

bool matches_pattern(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace weir::proxy
