#include "proxy/duration_in_words.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace weir::proxy {
namespace {

struct Unit {
  std::int64_t seconds;
  std::string_view name;
};

constexpr Unit seconds_unit{1, "s"}, minutes_unit{60, "min"}, hours_unit{3600, "h"}, days_unit{86'400, "d"};

std::string in_units(std::int64_t seconds, const Unit& large, const Unit& small) {
  const std::int64_t parts = (seconds + small.seconds - 1) / small.seconds, per_large = large.seconds / small.seconds;
  std::string text = std::to_string(parts / per_large) + " ";
  text += large.name;
  if (parts % per_large == 0) return text;
  text += " " + std::to_string(parts % per_large) + " ";
  return text.append(small.name);
}

}  // namespace

std::string duration_in_words(std::chrono::milliseconds duration) {
  const std::int64_t tenths = (std::max<std::int64_t>(0, duration.count()) + 99) / 100;
  if (tenths <= 2 * minutes_unit.seconds * 10)
    return std::to_string(tenths / 10) + (tenths % 10 ? "." + std::to_string(tenths % 10) : "") + " s";
  const std::int64_t seconds = (tenths + 9) / 10;
  if (seconds < hours_unit.seconds) return in_units(seconds, minutes_unit, seconds_unit);
  if (seconds < 2 * days_unit.seconds) return in_units(seconds, hours_unit, minutes_unit);
  return in_units(seconds, days_unit, hours_unit);
}

}  // namespace weir::proxy
