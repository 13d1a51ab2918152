// Whether a JSON answer is an error, by its first bytes: errors come inside a 200 too, and one that has gone out as an
// answer cannot be taken back.
#pragma once

#include <string_view>

namespace weir::protocol {

enum class Beginning {
  unknown,  // too few bytes to tell
  error,    // its first member is an `error` that says something, or "type" or "object" with the value "error"
  answer,
};

// `json`: what there is of it so far.
Beginning beginning_of(std::string_view json);

}  // namespace weir::protocol
