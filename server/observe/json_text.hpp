// Text from anywhere as a JSON string.
#pragma once

#include <string>
#include <string_view>

namespace weir::observe {

// With quotes. Control characters are escaped, bytes that are not UTF-8 replaced: it stays one line of valid JSON.
void append_json_string(std::string& out, std::string_view text);

}  // namespace weir::observe
