#include "proxy/cost.hpp"

#include <algorithm>
#include <array>
#include <ctime>

namespace weir::proxy {

std::string iso_time(std::chrono::system_clock::time_point now) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%MZ", &parts)};
}

std::optional<Cost> cost_of(const std::vector<Price>& prices, const protocol::Usage& usage, std::string_view now) {
  constexpr double per_tokens = 1e6;
  for (const Price& price : prices) {
    if (price.since > now || (!price.until.empty() && price.until <= now)) continue;
    const std::uint64_t input = usage.input.value_or(0), cached = std::min(input, usage.cached.value_or(0));
    const double amount = static_cast<double>(input - cached) * price.input +
                          static_cast<double>(cached) * price.cached_input +
                          static_cast<double>(usage.output.value_or(0)) * price.output;
    return Cost{amount / per_tokens, price.currency};
  }
  return std::nullopt;
}

double peak_factor(const std::optional<PeakHours>& peak, std::chrono::system_clock::time_point now) {
  if (!peak || peak->since > iso_time(now)) return 1;
  const auto day = std::chrono::floor<std::chrono::days>(now);
  if (!peak->days[std::chrono::weekday(day).c_encoding()]) return 1;
  const auto minute = std::chrono::floor<std::chrono::minutes>(now - day).count();
  const bool inside = std::any_of(peak->hours.begin(), peak->hours.end(), [&](const std::pair<int, int>& span) {
    return minute >= span.first && minute < span.second;
  });
  return inside ? peak->factor : 1;
}

}  // namespace weir::proxy
