#include "proxy/recent_calls.hpp"

#include <cstring>
#include <string>

#include "net/sha256.hpp"

namespace weir::proxy {

std::uint64_t hash_of_call(const CallName& call) {
  std::string named;
  named.reserve(call.key.size() + call.path.size() + call.upstream.size() + call.body.size() + 3);
  for (const std::string_view part : {call.key, call.path, call.upstream}) named.append(part) += '\0';
  named += call.body;
  const net::Sha256 digest = net::sha256(named);
  std::uint64_t hash = 0;
  std::memcpy(&hash, digest.data(), sizeof hash);
  return hash;
}

}  // namespace weir::proxy
