// Names to addresses for one worker. Each look-up has a thread of its own, which a name server that does not answer may
// hold as long as it likes: other names, and the end of the worker, do not wait for it. Answers are kept for 30 s
// (getaddrinfo gives no TTL) and beyond that only while the name server fails or is slow; one look-up at a time per
// name however many wait. A waiter never waits beyond its own deadline: it just leaves.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/worker.hpp"

namespace weir::net {

struct LookedUp {
  std::vector<boost::asio::ip::tcp::endpoint> endpoints;  // empty: it has none, see `error`
  std::string error;
};

// getaddrinfo; blocks.
LookedUp look_up_name(const std::string& host, std::uint16_t port);

struct ResolverOptions {
  std::chrono::milliseconds keep_for{std::chrono::seconds(30)};
  // A waiter takes an old answer when a new one takes longer.
  std::chrono::milliseconds refresh_max{std::chrono::seconds(1)};
  // Called on a thread that may outlive everything but what the function holds itself.
  std::function<LookedUp(const std::string& host, std::uint16_t port)> look_up = look_up_name;
};

class Resolver {
 public:
  using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;

  explicit Resolver(Worker& worker, ResolverOptions options = {});
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // A place in the line for a name; leaves it when destroyed.
  class Wait {
   public:
    // `patience`: for all that its waiter wants an address for. An old one comes while there is half of it left.
    Wait(Resolver& resolver, std::string host, std::uint16_t port, Bell bell,
         std::chrono::milliseconds patience = std::chrono::milliseconds::max());
    ~Wait();
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    // The bell rings when it becomes true; it may be from the start.
    bool ready() const { return ready_ || Clock::now() >= old_does_from_; }
    // REQUIRES: ready(). As they are now: an answer that comes after an old one did changes them. Empty: the name could
    // not be resolved.
    Endpoints endpoints() const { return endpoints_; }
    const std::string& error() const { return error_; }

   private:
    friend class Resolver;
    Resolver& resolver_;
    std::pair<std::string, std::uint16_t> key_;
    Bell bell_;
    Timer old_does_;
    Instant old_does_from_ = Instant::max();
    bool ready_ = false;
    Endpoints endpoints_;  // until it is ready: an old answer
    std::string error_;
  };

 private:
  using Key = std::pair<std::string, std::uint16_t>;
  struct Entry {
    Endpoints endpoints;
    Instant fresh_until{};
    bool under_way = false;
    std::vector<Wait*> waiters;
    std::vector<Wait*> settling;  // those of an answer that are not rung yet
  };
  struct Mailbox;
  // False: there is no thread for it.
  bool look_up(const Key& key);
  void answer(const Key& key, LookedUp found);

  Worker& worker_;
  const ResolverOptions options_;
  std::map<Key, Entry> entries_;  // as many as there are upstream hosts
  std::shared_ptr<Mailbox> mailbox_;
};

}  // namespace weir::net
