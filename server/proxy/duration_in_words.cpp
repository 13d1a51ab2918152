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

constexpr Unit second{1, "s"}, minute{60, "min"}, hour{3600, "h"}, day{86'400, "d"};

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
  if (tenths <= 2 * minute.seconds * 10)
    return std::to_string(tenths / 10) + (tenths % 10 ? "." + std::to_string(tenths % 10) : "") + " s";
  const std::int64_t seconds = (tenths + 9) / 10;
  if (seconds < hour.seconds) return in_units(seconds, minute, second);
  if (seconds < 2 * day.seconds) return in_units(seconds, hour, minute);
  return in_units(seconds, day, hour);
}

}  // namespace weir::proxy
