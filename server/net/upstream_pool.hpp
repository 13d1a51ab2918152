// Connections of one worker to the upstreams: opened on demand, kept alive between calls, lent by a Lease. Knows no
// model API and no budgets. Single-threaded.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <variant>

#include "net/connection.hpp"
#include "net/counts.hpp"
#include "net/failure.hpp"
#include "net/open_connection.hpp"
#include "net/resolver.hpp"
#include "net/task.hpp"

namespace weir::net {

class UpstreamPool;

// A connection that is ours until it is given back. Destroyed without that, the connection is closed.
class Lease {
 public:
  Lease() = default;
  Lease(UpstreamPool& pool, const std::string& key, std::unique_ptr<Connection> connection, bool reused)
      : pool_(&pool), key_(&key), connection_(std::move(connection)), reused_(reused) {}
  explicit operator bool() const { return connection_ != nullptr; }
  Connection& connection() { return *connection_; }
  bool reused() const { return reused_; }
  // The response ended cleanly and the peer keeps the connection open. look_first: but bytes may still follow it.
  enum class Trust { usual, look_first };
  void give_back(Trust trust = Trust::usual);
  void discard() { connection_.reset(); }

 private:
  UpstreamPool* pool_ = nullptr;
  const std::string* key_ = nullptr;
  std::unique_ptr<Connection> connection_;
  bool reused_ = false;
};

class UpstreamPool {
 public:
  // Idle connections beyond these are closed: more are never useful at once, and providers close idle ones at 60 s or
  // so.
  static constexpr std::size_t idle_per_endpoint_max = 512;
  static constexpr std::chrono::seconds default_idle_max{50};

  explicit UpstreamPool(Worker& worker, Clock::duration idle_max = default_idle_max, ResolverOptions resolving = {});
  ~UpstreamPool();

  // lately_used: a kept-alive one only if it has been idle for less than servers keep one open, and after a look at it.
  // For what must not be sent again when it breaks: nobody can exclude that, but it hardly happens.
  enum class Choice { any, lately_used, fresh_only };
  // A kept-alive connection, else a new one. Failure with origin upstream, or cancelled when it was not wanted any
  // more. REQUIRES: `endpoint` outlives the lease.
  Task<std::variant<Lease, Failure>> acquire(const Endpoint& endpoint, OpenContext context, Choice choice);

  void close_idle();
  std::size_t idle_connections() const;
  std::uint64_t connections_opened() const { return counts_.opened.value(); }
  const PoolCounts& counts() const { return counts_; }  // may be read from any thread

 private:
  friend class Lease;
  struct Idle {
    std::unique_ptr<Connection> connection;
    Instant since;
    Lease::Trust trust;
  };
  std::unique_ptr<Connection> take_idle(const std::string& key, Choice choice);
  std::unique_ptr<Connection> take_idle_of(std::deque<Idle>& connections, Choice choice);
  void keep(const std::string& key, std::unique_ptr<Connection> connection, Lease::Trust trust);

  void sweep_at(Instant due);
  void sweep();

  Worker& worker_;
  const Clock::duration idle_max_;
  Resolver resolver_;
  std::unordered_map<std::string, std::deque<Idle>> idle_;
  PoolCounts counts_;
  // Upstreams that nobody calls any more, or that a reload took away, keep no connections either.
  boost::asio::steady_timer sweeping_;
  bool sweeps_ = false;
  std::shared_ptr<UpstreamPool*> self_ = std::make_shared<UpstreamPool*>(this);  // the timer may ring when this is gone
};

}  // namespace weir::net
