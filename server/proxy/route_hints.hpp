// What to tell whoever asks for a path that is not there: where it is, or what is wrong with it. Pure.
#pragma once

#include <string>
#include <string_view>

namespace weir::proxy {

// On the clients' listener. "the API is under /v1"
std::string client_route_hint(std::string_view path);
// On the operators'.
std::string operator_route_hint(std::string_view path);

}  // namespace weir::proxy
