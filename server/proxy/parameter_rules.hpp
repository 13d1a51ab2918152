// What a provider's parameter rules make of a request body: splices, a refusal, and the names to report as ignored.
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/request_view.hpp"
#include "protocol/stream_filter.hpp"
#include "proxy/choose_upstream.hpp"
#include "proxy/usage_refusals.hpp"

namespace weir::proxy {

struct PreparedBody {
  std::vector<protocol::Splice> splices;
  std::string ignored;                                      // "temperature, top_p"; empty: none
  AskUsage added = AskUsage::nothing;                       // what weir asked for that the client had not
  protocol::HideUsage hide = protocol::HideUsage::nothing;  // and what is therefore kept from it
};

// `ask`: the most that may be asked for; it is asked for where the upstream understands it.
std::variant<PreparedBody, Refusal> prepare_body(std::string_view body, const protocol::RequestView& view,
                                                 const Destination& destination, AskUsage ask);

}  // namespace weir::proxy
