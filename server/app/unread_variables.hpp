// Variables called WEIR_... that are set and change nothing: a slip in a name, or a setting that has no variable. Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "app/problem.hpp"

namespace weir::app {

// The variables that weir reads; docs/settings.md describes them.
const std::vector<std::string>& known_variables();

// One problem for each of `names` that begins with WEIR_ and neither is known nor `asked` for, as a configuration file
// does that has ${WEIR_X} in it. Those that Kubernetes makes for services are somebody else's to read.
Problems unread_variables(const std::vector<std::string>& names, const std::set<std::string>& asked);

}  // namespace weir::app
