// Calls that a provider counts apart from the rest, as Ark does /batch/*: which they are, and what holds for them
// instead of what holds for their account. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/choose_upstream.hpp"

namespace weir::proxy {

// `path`: Route::path, e.g. "/batch/chat/completions". nullptr: it is counted as everything else.
const BatchService* batch_service_of(const Upstream& upstream, std::string_view path);

const UpstreamTimeouts& timeouts_of(const Destination& destination);
const std::vector<Price>& prices_of(const Destination& destination);  // empty: none known

// The budget, of an account, a key or a team, that holds these calls.
std::string batch_budget_name(std::string_view name);

// What of a key's or a team's limits holds for them: they are no traffic by the minute, so the daily ones.
Limits batch_part(const Limits& limits);

}  // namespace weir::proxy
