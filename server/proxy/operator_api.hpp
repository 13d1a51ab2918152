// The operators' listener: health with its reasons, and everything under /weir/. Beyond loopback it wants the operator
// token, except for the two probes.
#pragma once

#include "net/task.hpp"
#include "proxy/session.hpp"

namespace weir::proxy {

// One request whose head the session has read.
net::Task<void> serve_operator(Session& session);

}  // namespace weir::proxy
