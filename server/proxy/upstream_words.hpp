// What an upstream says of its limits, beside its answers and in its refusals, handed to the budgets that learn from
// it. Decides what is believed of whom; keeps nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "net/head.hpp"
#include "protocol/error_body.hpp"
#include "proxy/cause.hpp"
#include "proxy/settings.hpp"
#include "proxy/turn.hpp"

namespace weir::proxy {

// The x-ratelimit fields of an answer, whatever its status; costs next to nothing where there are none.
void hear_head(Turn& turn, const Upstream& upstream, const net::MessageHead& head);

// A refusal: the figures in its message, and that it is one.
void hear_refusal(Turn& turn, const Upstream& upstream, const Diagnosis& diagnosis, const net::MessageHead& head,
                  const protocol::UpstreamError& error);

// When a call of so many tokens that was turned away would have room, by what the same head says is left of the meters
// that are short; nullopt: it does not say. For refusals without a hint when to come back: a meter's reset is none, it
// tells when all of it is free again.
std::optional<std::chrono::milliseconds> wait_for_room(const Upstream& upstream, const net::MessageHead& head,
                                                       std::uint64_t tokens);

}  // namespace weir::proxy
