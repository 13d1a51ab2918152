#include "simulation/direct_path.hpp"

namespace weir::simulation {

Path::Id DirectPath::call(const Call& call, Instant, Caller& caller, std::uint64_t tag) {
  const Id id = ++last_id_;
  running_[id] = {&caller, tag, provider_.send(call, *this, id), loop_.now()};
  return id;
}

void DirectPath::leave(Id id) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  provider_.cancel(found->second.at_provider);
  running_.erase(found);
}

void DirectPath::reply(std::uint64_t tag, const Reply& reply) {
  const auto found = running_.find(tag);
  if (found == running_.end() || reply.kind == Reply::Kind::produced) return;
  const Running running = found->second;
  running_.erase(found);
  Outcome outcome;
  outcome.sent_at = running.sent_at;
  outcome.hint = reply.hint;
  if (reply.kind == Reply::Kind::ended) {
    outcome.used = reply.input + reply.output;
  } else {
    outcome.by_provider = reply.kind == Reply::Kind::refused;
    outcome.kind = outcome.by_provider ? Outcome::Kind::refused : Outcome::Kind::failed;
  }
  running.caller->outcome(running.tag, outcome);
}

}  // namespace weir::simulation
