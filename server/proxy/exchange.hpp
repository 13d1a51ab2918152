// One request with its response, from the head that has been read to the line in the log: the story of the proxy.
#pragma once

#include "net/task.hpp"
#include "proxy/session.hpp"

namespace weir::proxy {

net::Task<void> run_exchange(Session& session);

}  // namespace weir::proxy
