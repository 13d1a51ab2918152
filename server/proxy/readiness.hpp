// Whether this weir can get a call to an upstream: what /readyz says. Pure.
#pragma once

#include <string>

#include "proxy/account_health.hpp"
#include "proxy/settings.hpp"

namespace weir::proxy {

struct Readiness {
  bool ready = true;
  std::string reason;  // for operators: names accounts
};

// No, when all accounts are without money, or have failed call after call for longer than a call would wait for them
// (breaker.wait_max), and rest. A rest that calls sit out in line is no reason to send them away, and one that is over
// ends with a call: somebody has to be let in to make it.
Readiness readiness_of(const Settings& settings, const AccountHealth& health, net::Instant now);

}  // namespace weir::proxy
