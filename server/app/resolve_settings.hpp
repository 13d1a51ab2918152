// From names to values: Config and provider files become proxy::Settings. Every reference is looked up here, once, and
// a name that nothing has is a problem with its place. Pure, except that provider files of a deployment are read.
#pragma once

#include <string>

#include "app/client_mode.hpp"
#include "app/config.hpp"
#include "app/environment.hpp"
#include "app/problem.hpp"
#include "proxy/settings.hpp"

namespace weir::app {

struct Resolved {
  proxy::SettingsPtr settings;
  ModeChoice mode;
};

// `folder`: of the configuration file, for provider files named relative to it. Only good when no problem was added.
Resolved resolve_settings(const Config& config, const std::string& folder, const Environment& environment,
                          Problems& problems);

}  // namespace weir::app
