// The methods of HTTP that weir takes. Pure.
#pragma once

#include <string_view>

namespace weir::proxy {

// As an answer lists them. Nothing else is anything a model API has. TRACE in particular would bring back what was
// sent, the account's key with it.
inline constexpr std::string_view known_methods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
// On a path whose body weir reads: one that comes with PUT or PATCH would go upstream unread.
inline constexpr std::string_view methods_of_read_paths = "GET, HEAD, POST, DELETE, OPTIONS";

// In these very letters: in others it would be passed on without being understood.
bool is_known_method(std::string_view method);

// One whose request has a body by its meaning.
bool brings_body(std::string_view method);

}  // namespace weir::proxy
