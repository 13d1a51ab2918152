// An upstream account as `weir check` and the start print it, and the pieces of that which others print too. Secrets
// are masked; of headers and queries, which may hold some, only names are shown.
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/settings.hpp"

namespace weir::app {

// "{rpm: 7500, tpm: 400000, window: 10s}": what this share of them is; "unlimited".
std::string limits_text(const proxy::Limits& limits, double share);

std::string list_of(const std::vector<std::string>& items);  // "[a, b]"

std::string base_url(const proxy::Upstream& upstream);

void describe_upstream(std::ostream& out, const proxy::Upstream& upstream);

// At most the last four characters, and those only of a secret long enough to keep: "****abcd".
std::string masked(std::string_view secret);

}  // namespace weir::app
