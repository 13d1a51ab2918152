#include "proxy/recent_calls.hpp"

#include <cstring>

#include "net/sha256.hpp"

namespace weir::proxy {

std::uint64_t hash_of_call(const CallName& call) {
  constexpr char zero = '\0';
  const std::string_view end(&zero, 1);  // of each part
  const net::Sha256 digest = net::sha256({call.key, end, call.path, end, call.upstream, end, call.body});
  std::uint64_t hash = 0;
  std::memcpy(&hash, digest.data(), sizeof hash);
  return hash;
}

}  // namespace weir::proxy
