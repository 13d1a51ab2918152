// Lets in who connects, as far as there is room: so many clients over all workers, and for operators a few connections
// of their own, to see why clients have none. One for the process, thread-safe; each worker brings its own sockets.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <string_view>

#include "net/socket_wire.hpp"
#include "net/timer_wheel.hpp"
#include "proxy/session.hpp"

namespace weir::proxy {

// What happens again and again is said once in a while.
class OnceInAWhile {
 public:
  bool due(net::Instant now);

 private:
  std::atomic<net::Instant::rep> again_at_{0};
};

class Doorkeeper {
 public:
  static constexpr std::size_t operators_max = 64;

  Doorkeeper(Shared& shared, std::size_t clients_max) : shared_(shared), clients_max_(clients_max) {}

  // On the worker's thread. Whom there is no room for is closed: a descriptor is worth more to those that are here.
  // Operators are few and their pages leave connections behind: the one that has been idle for longest makes room.
  void take(WorkerContext& context, net::Socket socket, Door door);
  // Nobody could be let in, as when descriptors are used up.
  void not_accepted(std::string_view why);
  bool has_room(const WorkerContext& context, Door door) const;

 private:
  bool make_room(WorkerContext& context) const;

  Shared& shared_;
  const std::size_t clients_max_;
  OnceInAWhile tells_refused_, tells_failed_;
  std::atomic<bool> told_closed_{false};
};

}  // namespace weir::proxy
