#include "proxy/method.hpp"

#include <algorithm>

namespace weir::proxy {

bool is_known_method(std::string_view method) {
  constexpr std::string_view between = ", ";
  for (std::string_view rest = known_methods; !rest.empty();) {
    const std::size_t end = std::min(rest.find(between), rest.size());
    if (rest.substr(0, end) == method) return true;
    rest.remove_prefix(std::min(end + between.size(), rest.size()));
  }
  return false;
}

bool brings_body(std::string_view method) {
  return method == "POST" || method == "PUT" || method == "PATCH";
}

}  // namespace weir::proxy
