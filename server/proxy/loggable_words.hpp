// What of an upstream's error others than its caller may read, in the log, on the status page and in the words of an
// account's state, where neither a prompt nor a secret has a place: providers quote both ("Incorrect API key provided:
// sk-…", "Invalid value: '…'"). Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "protocol/error_body.hpp"
#include "proxy/error_rules.hpp"

namespace weir::proxy {

// One line of at most 200 bytes, never empty. Where the caller is at fault the message may quote what was sent: then
// only type and code are told. Otherwise the message, with `secrets` and all that looks like a key made unreadable, in
// a fault's also what stands in quotes.
std::string loggable_words(const protocol::UpstreamError& error, Cause cause, int status,
                           std::span<const std::string_view> secrets);
// A type or a code, which are words of the provider. Empty: it has another shape, and may quote anything.
std::string loggable_word(const std::string& type_or_code);

}  // namespace weir::proxy
