// What a call cost, by the dated prices of the provider file. An estimate of the bill, not the bill: peak hours
// and rebates are not in it.
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

}  // namespace weir::proxy
