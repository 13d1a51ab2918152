// Limits and timeouts as files say them, turned into the values a running proxy uses. Used by resolve_settings. Pure.
#pragma once

#include <initializer_list>

#include "app/config.hpp"
#include "proxy/settings.hpp"

namespace weir::app {

proxy::Limits to_limits(const LimitsConfig& config);

// How a provider counts is the same for all its limits: what those of a model or of calls counted apart do not say
// holds as for the account.
void take_shape(proxy::Limits& limits, const proxy::Limits& account);

// Each timeout from the first level that says it, else the default.
proxy::UpstreamTimeouts to_timeouts(std::initializer_list<const UpstreamTimeoutsConfig*> levels);

}  // namespace weir::app
