// What an upstream says of its limits, beside its answers and in its refusals, handed to the budgets that learn from
// it. Decides what is believed of whom; keeps nothing.
#pragma once

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

}  // namespace weir::proxy
