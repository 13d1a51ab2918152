// Values as people write them in settings: durations `15s` `4m` `250ms` `1h30m`, sizes `256MiB`, counts `5000000` or
// `5_000_000`. Strict: a number without a unit is refused, because 10 could be seconds or minutes. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::app {

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);  // up to ten years; no sign
std::optional<std::size_t> parse_size(std::string_view text);                    // B, KB, KiB, MB, MiB, GB, GiB
std::optional<std::uint64_t> parse_count(std::string_view text);                 // digits, `_` between them
std::optional<double> parse_fraction(std::string_view text);                     // digits and at most one point

std::string format_duration(std::chrono::milliseconds duration);  // "1m30s"; "unlimited" from ten years on
std::string format_size(std::size_t bytes);                       // "256MiB"; exact
std::string format_fraction(double value);                        // "0.25"

}  // namespace weir::app
