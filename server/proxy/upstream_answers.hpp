// What operators see of the upstreams: GET /weir/upstreams. Values in, JSON out.
#pragma once

#include <string>

#include "proxy/account_health.hpp"
#include "proxy/learned_answers.hpp"
#include "proxy/settings.hpp"

namespace weir::proxy {

// "status 500, server_error", "no answer, weir_upstream_reset: …": to stand in a sentence.
std::string in_words(const Symptom& last);
// "closed": calls go there. "open": it is left alone. "half-open": the next call finds out.
std::string_view breaker_state(const std::optional<AccountHealth::State>& state, net::Instant now);
// The same in a sentence, with what the upstream said last; for people.
std::string state_in_words(const std::string& name, const std::optional<AccountHealth::State>& state, net::Instant now);

// Name, provider, address, state and trouble of every account, in the order of the configuration.
// And what was learned of its limits.
std::string upstreams_json(const Settings& settings, const AccountHealth& health, net::Instant now,
                           const std::vector<LearnedAt>& learned = {});

}  // namespace weir::proxy
