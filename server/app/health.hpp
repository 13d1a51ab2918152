// `weir health`: asks the running server whether it is ready; for container health checks, where there is no curl.
#pragma once

#include "app/config_source.hpp"

namespace weir::app {

// 0: ready. 1: not, or nobody answers; the reason on standard error. Asks where the configuration says operators listen.
int run_health(const Overrides& overrides);

}  // namespace weir::app
