// Which of several accounts a call goes to: the one where it can start first. Those that are as good share the calls by
// their weights, and a long prompt goes where one that begins alike went before, so that the provider's context cache
// stays warm. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "net/timer_wheel.hpp"

namespace weir::proxy {

struct AccountOffer {
  std::string_view account;
  unsigned weight = 1;
  unsigned order = 1;     // the lower, the sooner it is asked
  net::Instant start{};   // when a call could start there
  bool left_out = false;  // not to be asked
};

// Index of an offer. A start at most `as_good` after the first one is as good as that. `likeness`: the same for calls
// that should meet at one account. REQUIRES: there are offers that are not left out.
std::size_t choose_account(std::span<const AccountOffer> offers, net::Clock::duration as_good, std::uint64_t likeness);

// What a body has in common with others that begin alike; nothing for a short one, which no provider would cache.
std::uint64_t likeness_of(std::string_view body, std::string_view request_id);
bool is_long(std::string_view body);

}  // namespace weir::proxy
