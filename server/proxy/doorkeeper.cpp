#include "proxy/doorkeeper.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace weir::proxy {
namespace {

constexpr std::chrono::minutes while_long{1};

std::size_t clients_of_all(const Shared& shared) {
  std::uint64_t count = 0;
  for (const WorkerContext* worker : shared.workers) count += worker->clients.value();
  return static_cast<std::size_t>(count);
}

}  // namespace

bool OnceInAWhile::due(net::Instant now) {
  auto again_at = again_at_.load(std::memory_order_relaxed);
  if (again_at != 0 && now.time_since_epoch().count() < again_at) return false;
  return again_at_.compare_exchange_strong(again_at, (now + while_long).time_since_epoch().count());
}

bool Doorkeeper::has_room(const WorkerContext& context, Door door) const {
  if (door == Door::clients) return clients_of_all(shared_) < clients_max_;
  return context.sessions.size() - context.clients.value() < operators_max;
}

// One that is closed may have had a request on its way: it is served, and the next one is looked at.
bool Doorkeeper::make_room(WorkerContext& context) const {
  for (std::size_t tries = operators_max; tries > 0 && !has_room(context, Door::operators); --tries) {
    Session* longest = nullptr;
    for (Session* session : context.sessions) {
      const bool idle = session->door() == Door::operators && session->idle_since() != net::Instant::max();
      if (idle && (!longest || session->idle_since() < longest->idle_since())) longest = session;
    }
    if (!longest) return false;
    longest->signal().raise(Session::stop);
  }
  return has_room(context, Door::operators);
}

void Doorkeeper::take(WorkerContext& context, net::Socket socket, Door door) {
  if (!has_room(context, door)) {
    if (door == Door::operators) {
      if (!told_closed_.exchange(true)) {
        shared_.log.warn("all " + std::to_string(operators_max) +
                         " connections of operators are taken: from now on the longest idle makes room for a new one");
      }
      if (!make_room(context)) return;
    } else {
      shared_.metrics.refused_unread("connections_max");
      if (tells_refused_.due(net::Clock::now())) {
        shared_.log.warn("a client was turned away: limits.connections_max, " + std::to_string(clients_max_) +
                         ", are connected (said once a minute at most; weir_rejections_total counts them)");
      }
      return;
    }
  }
  const net::SslContextPtr tls = door == Door::clients ? context.snapshot->client_tls : nullptr;
  serve_connection(context, std::move(socket), tls, door);
}

void Doorkeeper::not_accepted(std::string_view why) {
  if (!tells_failed_.due(net::Clock::now())) return;
  shared_.log.warn("a connection could not be accepted: " + std::string(why) +
                   " (said once a minute at most; LimitNOFILE or ulimit -n allow more open files)");
}

}  // namespace weir::proxy
