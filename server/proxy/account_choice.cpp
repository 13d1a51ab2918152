#include "proxy/account_choice.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

namespace weir::proxy {
namespace {

constexpr std::size_t long_bytes = 4096;   // about a thousand tokens, below which providers do not cache
constexpr std::size_t alike_bytes = 2048;  // beyond it conversations with the same beginning differ

// A number in (0, 1) for an account and a call: the same again for the same two (splitmix64's finish).
double lot_of(std::string_view account, std::uint64_t likeness) {
  std::uint64_t x = likeness ^ (std::hash<std::string_view>{}(account) + 0x9e3779b97f4a7c15u);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  x ^= x >> 31;
  return (static_cast<double>(x >> 11) + 0.5) / 9007199254740992.0;  // 2^53
}

}  // namespace

std::size_t choose_account(std::span<const AccountOffer> offers, net::Clock::duration as_good, std::uint64_t likeness) {
  net::Instant first = net::Instant::max();
  for (const AccountOffer& offer : offers) {
    if (!offer.left_out) first = std::min(first, offer.start);
  }
  // Weighted rendezvous hashing: when an account is left out, only its own calls go elsewhere.
  std::size_t best = offers.size();
  double best_score = 0;
  for (std::size_t i = 0; i < offers.size(); ++i) {
    const AccountOffer& offer = offers[i];
    if (offer.left_out || (offer.start > first && offer.start - first > as_good)) continue;
    const double score = -std::log(lot_of(offer.account, likeness)) / offer.weight;
    const bool better = best == offers.size() || offer.order < offers[best].order ||
                        (offer.order == offers[best].order && score < best_score);
    if (!better) continue;
    best = i;
    best_score = score;
  }
  return best;
}

bool is_long(std::string_view body) {
  return body.size() >= long_bytes;
}

std::uint64_t likeness_of(std::string_view body, std::string_view request_id) {
  return std::hash<std::string_view>{}(is_long(body) ? body.substr(0, alike_bytes) : request_id);
}

}  // namespace weir::proxy
