// SHA-256: of keys, of bodies that may come again. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace weir::net {

using Sha256 = std::array<std::uint8_t, 32>;
Sha256 sha256(std::string_view text);
// Of the pieces one after another.
Sha256 sha256(std::initializer_list<std::string_view> pieces);

}  // namespace weir::net
