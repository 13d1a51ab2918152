#include "net/upstream_pool.hpp"

#include <algorithm>

namespace weir::net {
namespace {

// A connection that has been idle for longer than this is looked at before use: the peer may have closed it.
constexpr std::chrono::milliseconds trusted_idle{20};
// Less than the shortest time for which common servers keep an idle connection open (uvicorn, Node: 5 s).
constexpr std::chrono::seconds lately{3};

}  // namespace

void Lease::give_back(Trust trust) {
  if (connection_) pool_->keep(*key_, std::move(connection_), trust);
}

UpstreamPool::UpstreamPool(Worker& worker, Clock::duration idle_max, ResolverOptions resolving)
    : worker_(worker), idle_max_(idle_max), resolver_(worker, std::move(resolving)), sweeping_(worker.io()) {}

UpstreamPool::~UpstreamPool() = default;

void UpstreamPool::close_idle() {
  idle_.clear();
  counts_.idle.set(0);
}

std::size_t UpstreamPool::idle_connections() const {
  std::size_t count = 0;
  for (const auto& [key, connections] : idle_) count += connections.size();
  return count;
}

std::unique_ptr<Connection> UpstreamPool::take_idle(const std::string& key, Choice choice) {
  const auto found = idle_.find(key);
  if (found == idle_.end()) return nullptr;
  auto connection = take_idle_of(found->second, choice);
  counts_.idle.set(idle_connections());
  return connection;
}

std::unique_ptr<Connection> UpstreamPool::take_idle_of(std::deque<Idle>& connections, Choice choice) {
  while (!connections.empty()) {
    // The one used last: it is the likeliest to be open, and the others can grow old and go.
    if (choice == Choice::lately_used && Clock::now() - connections.back().since > lately) return nullptr;
    Idle idle = std::move(connections.back());
    connections.pop_back();
    const auto age = Clock::now() - idle.since;
    if (age > idle_max_) {
      connections.clear();
      return nullptr;
    }
    if (age > trusted_idle || idle.trust == Lease::Trust::look_first || choice == Choice::lately_used) {
      char byte;
      if (idle.connection->wire().try_read(std::span<char>(&byte, 1)).status != IoStep::Status::would_block) continue;
    }
    return std::move(idle.connection);
  }
  return nullptr;
}

void UpstreamPool::keep(const std::string& key, std::unique_ptr<Connection> connection, Lease::Trust trust) {
  // What is left over belongs to nobody: the next exchange would take it for its answer.
  if (!connection->unread().empty() || connection->has_unflushed() || connection->write_failed()) return;
  connection->wire().drop_bells();  // they ring an exchange that ends
  auto& connections = idle_[key];
  const Instant now = Clock::now();
  // The oldest are at the front: those past their time go whenever one comes.
  while (!connections.empty() &&
         (connections.size() >= idle_per_endpoint_max || now - connections.front().since > idle_max_)) {
    connections.pop_front();
  }
  connections.push_back({std::move(connection), now, trust});
  counts_.idle.set(idle_connections());
  if (!sweeps_) sweep_at(now + idle_max_);
}

void UpstreamPool::sweep_at(Instant due) {
  sweeps_ = true;
  sweeping_.expires_at(due);
  sweeping_.async_wait([this, alive = std::weak_ptr<UpstreamPool*>(self_)](const boost::system::error_code& error) {
    if (!error && !alive.expired()) sweep();
  });
}

void UpstreamPool::sweep() {
  sweeps_ = false;
  const Instant now = Clock::now();
  Instant oldest = Instant::max();
  for (auto& [key, connections] : idle_) {
    while (!connections.empty() && now - connections.front().since >= idle_max_) connections.pop_front();
    if (!connections.empty()) oldest = std::min(oldest, connections.front().since);
  }
  std::erase_if(idle_, [](const auto& entry) { return entry.second.empty(); });
  counts_.idle.set(idle_connections());
  if (!idle_.empty()) sweep_at(oldest + idle_max_);
}

Task<std::variant<Lease, Failure>> UpstreamPool::acquire(const Endpoint& endpoint, OpenContext context, Choice choice) {
  if (choice != Choice::fresh_only) {
    if (auto connection = take_idle(endpoint.key, choice)) {
      counts_.reused.add();
      co_return Lease(*this, endpoint.key, std::move(connection), true);
    }
  }
  auto opened = co_await open_connection(worker_, resolver_, endpoint, std::move(context));
  if (auto* failure = std::get_if<Failure>(&opened)) co_return std::move(*failure);
  counts_.opened.add();
  co_return Lease(*this, endpoint.key, std::move(std::get<std::unique_ptr<Connection>>(opened)), false);
}

}  // namespace weir::net
