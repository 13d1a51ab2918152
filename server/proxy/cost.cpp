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

}  // namespace weir::proxy
