#include "proxy/recent_calls.hpp"

#include <cstring>
#include <string>

#include "net/sha256.hpp"

namespace weir::proxy {

std::uint64_t hash_of_call(std::string_view key, std::string_view body) {
  std::string named(key);
  named += '\0';
  named += body;
  const net::Sha256 digest = net::sha256(named);
  std::uint64_t hash = 0;
  std::memcpy(&hash, digest.data(), sizeof hash);
  return hash;
}

}  // namespace weir::proxy
