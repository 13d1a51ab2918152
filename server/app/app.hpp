// The composition root: builds everything once, reloads on demand, shuts down in two stages. The control thread (the
// one that calls serve) holds signals, reloads and the shutdown; each worker thread holds its connections.
#pragma once

#include "app/config_source.hpp"

namespace weir::app {

// Runs the server until it is told to stop. Returns the exit status: 0 stopped, 1 failed at run time, 2 configuration.
int serve(const ServeRequest& request);

}  // namespace weir::app
