// What a caller is told whom the queue turned away: which limit of which scope, who is ahead, when there would be room;
// and hints for its SDK that are true. Pure.
#pragma once

#include <optional>

#include "admission/scheduler.hpp"
#include "proxy/error_response.hpp"
#include "proxy/why.hpp"

namespace weir::proxy {

// "tpm", the word of the configuration.
std::string_view word_of(admission::Meter meter);
// "key", "team", "upstream", "model".
std::string_view word_of(admission::Scope scope);

struct AdmissionFacts {
  const admission::BudgetLimits* budget = nullptr;  // what there was no room in; nullptr: the queue itself
  std::optional<admission::Tokens> taken;           // of its meter: used and reserved
  admission::Tokens asked = 0;                      // of its meter, by the call
  std::chrono::milliseconds wait_bound{0};          // how long it was allowed to wait
  std::string_view bounded_by;                      // and whose word that was; empty: nobody's
  std::size_t waiting = 0;
  std::optional<UpstreamPause> pause;  // the reason, and not the meter
};

Refusal refuse_admission(const admission::Rejection& rejection, const AdmissionFacts& facts, admission::Instant now);

// The caller's own budget in OpenAI's headers, whole lines; empty: it has no limits.
std::string rate_limit_lines(const std::optional<admission::MeterView>& requests,
                             const std::optional<admission::MeterView>& tokens);

// "1s", "6m0s", "12ms": a duration as OpenAI writes it.
std::string openai_duration(std::chrono::nanoseconds duration);

}  // namespace weir::proxy
