// Text from anywhere, made fit for where only UTF-8 may stand.
#pragma once

#include <string>
#include <string_view>

namespace weir::observe {

// How many bytes the character at the start of `text` has; 0: they are not UTF-8. REQUIRES: it is not empty.
std::size_t utf8_length(std::string_view text);
// The characters that fit into `bytes_max`, with U+FFFD for every byte that is not UTF-8.
std::string clean_utf8(std::string_view text, std::size_t bytes_max = std::string_view::npos);

}  // namespace weir::observe
