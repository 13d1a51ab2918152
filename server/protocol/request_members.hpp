// What the top-level members of a request mean, once the body is known to be valid JSON: types are checked here and the
// facts go into the view. Used by RequestReader only.
#pragma once

#include <optional>
#include <string_view>

#include "protocol/request_view.hpp"

namespace weir::protocol {

// Fills the view from its members, whose spans point into `body`. The fault of the first bad or repeated member, or
// nullopt.
std::optional<BodyError> read_members(std::string_view body, RequestView& view);

}  // namespace weir::protocol
