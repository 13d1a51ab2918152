// Why a request waits, in one sentence: on the status page, in `weir top`, in GET /v1/weir/me and in refusals. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "admission/budget.hpp"

namespace weir::proxy {

// Of an upstream that is left alone: what its calls wait for, and no meter.
struct UpstreamPause {
  std::chrono::milliseconds asked{0};  // how long it asked for; 0: it did not say
};

struct WhyWaiting {
  const admission::BudgetLimits* budget = nullptr;  // what has no room; nullptr: it is not its turn yet
  admission::Meter meter = admission::Meter::requests;
  std::optional<admission::Tokens> taken;  // of the meter: used and reserved
  admission::Tokens ahead = 0;             // requests
  std::string_view next;                   // whose request is the first of them; empty: not known
  std::optional<std::chrono::milliseconds> starts_in;
  std::optional<UpstreamPause> pause = {};
  admission::Tokens needs = 0;  // of the meter, as is expected; 0: not known
  admission::Hold by = admission::Hold::window;
};

// "waits for tokens per minute of the upstream 'ark-1' (4980000 of 5000000 taken, it needs 30000) behind 12 others, the
// next of 'bob'; it can start in about 8 s"
std::string why_waiting(const WhyWaiting& why);

// "the upstream 'ark-1' (tpm: 5000000 tokens per minute)"
std::string limit_in_words(const admission::BudgetLimits& budget, admission::Meter meter);

// "requests", "input tokens": what a meter counts.
std::string_view counted(admission::Meter meter);

}  // namespace weir::proxy
