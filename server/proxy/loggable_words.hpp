// What of an upstream's error may stand in the log and on the status page, where neither a prompt nor a secret has a
// place: providers quote both ("Incorrect API key provided: sk-…", "Invalid value: '…'"). Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "protocol/error_body.hpp"
#include "proxy/error_rules.hpp"

namespace weir::proxy {

// One line of at most 200 bytes, never empty. Where the caller is at fault the message may quote what was sent: then
// only type and code are told. Otherwise the message, with `secrets` and all that looks like a key made unreadable.
std::string loggable_words(const protocol::UpstreamError& error, Cause cause, int status,
                           std::span<const std::string_view> secrets);

}  // namespace weir::proxy
