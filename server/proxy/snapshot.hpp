// The settings of a reload together with what is made of them once: connection endpoints with their TLS contexts, and
// an index of the keys. Immutable; an exchange keeps the snapshot it started with, so a reload changes nothing in
// flight.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/http_proxy.hpp"
#include "net/upstream_pool.hpp"
#include "proxy/settings.hpp"

namespace weir::proxy {

struct Snapshot {
  SettingsPtr settings;
  std::vector<net::Endpoint> endpoints;                              // by upstream index
  net::SslContextPtr client_tls;                                     // of the clients' listener; null: plain HTTP
  std::unordered_multimap<std::uint64_t, std::size_t> keys_by_hash;  // first 8 bytes of a key's SHA-256 → index

  const Upstream* upstream_named(std::string_view name) const;  // nullptr: none
  std::size_t index_of(const Upstream& upstream) const;
};

using SnapshotPtr = std::shared_ptr<const Snapshot>;

// Throws std::runtime_error when a CA file cannot be loaded.
SnapshotPtr make_snapshot(SettingsPtr settings, const net::ProxyRules& proxies, net::SslContextPtr client_tls);

}  // namespace weir::proxy
