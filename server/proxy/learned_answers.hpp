// What was learned of the limits of upstreams, for those who look on: where it comes from, since when and how long it
// holds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "observe/metrics.hpp"
#include "proxy/admission_gate.hpp"

namespace weir::proxy {

struct LearnedAt {
  std::string upstream;  // as configured
  admission::Scope scope = admission::Scope::account;
  std::string name;  // of the budget
  admission::LearnedView view;
};

std::string_view word_of(admission::Source source);

// Of the upstreams of the settings.
std::vector<LearnedAt> learned_limits(AdmissionGate& gate, const Settings& settings);
// Those of one upstream as the items of a JSON list.
std::string learned_json(const std::vector<LearnedAt>& all, std::string_view upstream, admission::Instant now);
// As gauges: the smallest where the models of an upstream differ.
std::vector<observe::Levels::Learned> learned_levels(const std::vector<LearnedAt>& all);

}  // namespace weir::proxy
