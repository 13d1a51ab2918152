// What a person sees of weir: the page at /weir/ and the figures behind it, GET /weir/status.
#pragma once

#include <string>
#include <string_view>

#include "proxy/context.hpp"

namespace weir::proxy {

// One self-contained page, compiled in; it asks nobody but the operator listener it came from.
std::string_view status_page();
std::string answer_status_page(bool keep_alive);
std::string status_json(const Shared& shared);

}  // namespace weir::proxy
