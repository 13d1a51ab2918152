// What would keep a server from starting, or from being reached, that no single setting tells: two doors in one place,
// files that are not there. So that `weir check` finds what `weir serve` would.
#pragma once

#include "app/config.hpp"

namespace weir::app {

void find_obstacles(const Config& config, const Environment& environment, Problems& problems);

}  // namespace weir::app
