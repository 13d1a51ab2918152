// What a provider's parameter rules make of a request body: splices, a refusal, and the names to report as ignored.
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/request_view.hpp"
#include "proxy/choose_upstream.hpp"

namespace weir::proxy {

struct PreparedBody {
  std::vector<protocol::Splice> splices;
  std::string ignored;      // "temperature, top_p"; empty: none
  bool asks_usage = false;  // weir asked for the usage chunk on its own: it is hidden from the client
};

// Whether weir asks for the usage of streams whose caller did not.
enum class AskUsage { where_understood, no };

std::variant<PreparedBody, Refusal> prepare_body(std::string_view body, const protocol::RequestView& view,
                                                 const Destination& destination, AskUsage ask);

}  // namespace weir::proxy
