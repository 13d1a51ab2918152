// ${X}, ${X:-default} and ${file:/path} inside the values of a configuration. Done after YAML was parsed, so that a
// secret with a colon or a quote in it cannot change the structure of the file. `$${` stands for a plain `${`. An empty
// variable counts as not set; `${X:-}` says that it may be.
#pragma once

#include <string>
#include <string_view>

#include "app/environment.hpp"

namespace weir::app {

struct Interpolated {
  std::string text;
  bool changed = false;  // the text holds a value from outside the file: do not quote it in messages
  std::string error;     // one sentence; empty: none
};

Interpolated interpolate(std::string_view text, const Environment& environment);

}  // namespace weir::app
