// `weir health`: asks the running server whether it is ready; for container health checks.
#pragma once

#include <chrono>
#include <string>

#include "app/address.hpp"
#include "app/config_source.hpp"

namespace weir::app {

struct Readiness {
  bool ready = false;
  std::string reason;  // of not being ready, in one line
};

// GET /readyz. `patience` bounds all of it, however slowly the answer comes.
Readiness ask_readiness(const ListenAddress& address, std::chrono::milliseconds patience);

// 0: ready. 1: not, or nobody answers; the reason on standard error. 2: an address that is none. Asks where the
// configuration says operators listen.
int run_health(const Overrides& overrides);

}  // namespace weir::app
