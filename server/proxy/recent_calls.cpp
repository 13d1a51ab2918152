#include "proxy/recent_calls.hpp"

#include <openssl/sha.h>

#include <array>
#include <cstring>
#include <string>

namespace weir::proxy {

std::uint64_t hash_of_call(std::string_view key, std::string_view body) {
  std::string named(key);
  named += '\0';
  named += body;
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(named.data()), named.size(), digest.data());
  std::uint64_t hash = 0;
  std::memcpy(&hash, digest.data(), sizeof hash);
  return hash;
}

}  // namespace weir::proxy
