// What a refusal or a failure of an upstream means for whoever sends the next request: the rules of its provider file,
// tried in order, and the hint when to come back. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "net/head.hpp"
#include "protocol/error_body.hpp"
#include "proxy/error_rules.hpp"

namespace weir::proxy {

struct Diagnosis {
  Cause cause = Cause::fault;
  bool of_model = false;   // it concerns the account's share of one model
  std::string_view meter;  // the limit word that the rule names; of the rules
  std::optional<std::chrono::milliseconds> hint;
};

// `status` 200: an error inside a success.
Diagnosis diagnose(int status, const net::MessageHead& head, const protocol::UpstreamError& error,
                   const std::vector<ErrorRule>& rules, std::chrono::system_clock::time_point now);

}  // namespace weir::proxy
