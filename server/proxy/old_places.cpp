#include "proxy/old_places.hpp"

#include <openssl/sha.h>

#include <array>
#include <cstring>
#include <string>

namespace weir::proxy {

// Nobody may take another caller's place by guessing: the hash has to be one that cannot be aimed at.
std::uint64_t OldPlaces::hash_of(std::string_view key, std::string_view body) {
  std::string named(key);
  named += '\0';
  named += body;
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(named.data()), named.size(), digest.data());
  std::uint64_t hash = 0;
  std::memcpy(&hash, digest.data(), sizeof hash);
  return hash;
}

void OldPlaces::remember(std::string_view key, std::string_view body, net::Instant arrived, net::Instant now) {
  const std::uint64_t hash = hash_of(key, body);
  const std::lock_guard lock(mutex_);
  forget_old(now);
  if (arrivals_.try_emplace(hash, arrived).second) order_.push_back({hash, now});
}

std::optional<net::Instant> OldPlaces::take(std::string_view key, std::string_view body, net::Instant now) {
  const std::uint64_t hash = hash_of(key, body);
  const std::lock_guard lock(mutex_);
  forget_old(now);
  const auto found = arrivals_.find(hash);
  if (found == arrivals_.end()) return std::nullopt;
  const net::Instant arrived = found->second;
  arrivals_.erase(found);
  return arrived;
}

void OldPlaces::forget_old(net::Instant now) {
  while (!order_.empty() && (order_.front().refused_at + kept_for < now || order_.size() >= places_max)) {
    arrivals_.erase(order_.front().hash);
    order_.pop_front();
  }
}

}  // namespace weir::proxy
