// Straight to the provider.
#pragma once

#include <unordered_map>

#include "simulation/path.hpp"
#include "simulation/provider.hpp"

namespace weir::simulation {

class DirectPath final : public Path, private Provider::Listener {
 public:
  DirectPath(EventLoop& loop, Provider& provider) : loop_(loop), provider_(provider) {}

  Id call(const Call& call, Instant arrived, Caller& caller, std::uint64_t tag) override;
  void leave(Id id) override;

 private:
  struct Running {
    Caller* caller = nullptr;
    std::uint64_t tag = 0;
    Provider::Id at_provider = 0;
    Instant sent_at{};
  };
  void reply(std::uint64_t tag, const Reply& reply) override;

  EventLoop& loop_;
  Provider& provider_;
  std::unordered_map<Id, Running> running_;
  Id last_id_ = 0;
};

}  // namespace weir::simulation
