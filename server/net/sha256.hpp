// SHA-256 of one text: of keys, of bodies that may come again. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace weir::net {

using Sha256 = std::array<std::uint8_t, 32>;
Sha256 sha256(std::string_view text);

}  // namespace weir::net
