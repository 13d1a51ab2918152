// `weir count`: how many tokens a text or a request body is, what its answer can come to, what that counts for under
// the rule of its upstream, and what it costs. An estimate, and it says so; nothing is sent and no budget spent.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "app/config_source.hpp"

namespace weir::app {

struct CountRequest {
  std::optional<std::string> model;  // --model; beats the one in the body
  std::optional<std::string> config;
  std::string file = "-";  // "-": standard input
};

struct CountResult {
  int status = 0;   // 0, or 2: the input or the configuration cannot be used
  std::string out;  // the table
  std::string err;  // why not; or what was assumed
};

// `now`: ISO date and time in UTC, for the price that holds.
CountResult count_tokens(const CountRequest& request, std::string_view input, const Environment& environment,
                         std::string_view now);

int run_count(const CountRequest& request);

}  // namespace weir::app
