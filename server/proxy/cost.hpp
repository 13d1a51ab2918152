// What a call cost, by the dated prices of the provider file and its peak hours. An estimate of the bill, not the bill:
// rebates are not in it, and a public holiday counts as the day of the week it is.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/usage.hpp"
#include "proxy/settings.hpp"

namespace weir::proxy {

struct Cost {
  double amount = 0;
  std::string_view currency;  // lives as long as the prices
};

// "2026-01-31T12:00Z": what dates of prices are compared with.
std::string iso_time(std::chrono::system_clock::time_point now);

// `now`: as iso_time writes it. nullopt: no price is known for that time.
std::optional<Cost> cost_of(const std::vector<Price>& prices, const protocol::Usage& usage, std::string_view now);

// What the prices are multiplied by at that time; 1 outside of peak hours and where none are known.
double peak_factor(const std::optional<PeakHours>& peak, std::chrono::system_clock::time_point now);

}  // namespace weir::proxy
