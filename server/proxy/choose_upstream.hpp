// Where a request goes: model → route → account, or for paths without a model by header, issuer, default. Pure.
#pragma once

#include <string_view>
#include <variant>
#include <vector>

#include "proxy/authenticate.hpp"
#include "proxy/issued_ids.hpp"
#include "proxy/route.hpp"

namespace weir::proxy {

struct Destination {
  const Upstream* upstream = nullptr;     // lives as long as the snapshot
  std::string_view model;                 // to send; empty: as the client sent it
  const ModelProfile* profile = nullptr;  // rules and limits of the model; nullptr: none known
  unsigned weight = 1, order = 1;         // beside other accounts
  const BatchService* batch = nullptr;    // the call is one that is counted apart; nullptr: it is not
};

// Accounts that could serve the call, never none.
using Destinations = std::vector<Destination>;

// A call that names a model. `wanted`: the value of x-weir-upstream; `issuer`: the upstream that issued an id the call
// refers to (previous_response_id); both may be empty.
std::variant<Destinations, Refusal> choose_by_model(const Snapshot& snapshot, const Client& client,
                                                    std::string_view model, std::string_view wanted,
                                                    std::string_view issuer);

// A call whose model weir does not read, or that names none.
std::variant<Destinations, Refusal> choose_without_model(const Snapshot& snapshot, const Client& client,
                                                         std::string_view method, const Route& route,
                                                         std::string_view wanted, const IssuedIds& issued);

// Whether the provider has the route's path.
bool serves(const Upstream& upstream, const Route& route);
// The target to ask the upstream for; empty: the provider does not serve this.
std::string upstream_target(const Upstream& upstream, const Route& route);

const ModelProfile* profile_of(const Upstream& upstream, std::string_view model);

}  // namespace weir::proxy
