// What of a changed configuration a reload does not take over. Pure.
#pragma once

#include <string>
#include <vector>

#include "app/config.hpp"

namespace weir::app {

// The settings, as "log.format", that `read` says otherwise than the configuration the server started with.
std::vector<std::string> needs_restart(const Config& started_with, const Config& read);

}  // namespace weir::app
