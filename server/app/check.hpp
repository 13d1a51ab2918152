// What a configuration resolves to, for people: the whole of it for `weir check`, a few lines for the start. The only
// place that prints settings; secrets are masked.
#pragma once

#include <string>
#include <string_view>

#include "app/config_source.hpp"

namespace weir::app {

std::string describe(const Loaded& loaded);

// Mode, upstreams and how models are routed; one fact a line.
std::string start_summary(const Loaded& loaded);

}  // namespace weir::app
