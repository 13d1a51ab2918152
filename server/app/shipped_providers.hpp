// The provider files that are compiled into the binary. Each is read when it is first asked for: reading all of them
// was most of what a start cost, and a deployment uses one or two. Safe to use from any thread.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "app/provider_profile.hpp"

namespace weir::app {

std::shared_ptr<const ProviderProfile> shipped_provider(std::string_view name);  // nullptr: there is none

// The one whose `hosts` name this host; nullptr: none (the generic one is meant).
std::shared_ptr<const ProviderProfile> provider_of_host(std::string_view host);

// All of them, sorted by name. Never fails: a test reads them all.
const std::vector<std::shared_ptr<const ProviderProfile>>& shipped_providers();

}  // namespace weir::app
