// Names to addresses for one worker: getaddrinfo on Asio's resolver thread, answers kept for 30 s (getaddrinfo gives no
// TTL) and beyond that only while the name server fails; one look-up at a time per name however many wait. A waiter
// never waits beyond its own deadline: it just leaves.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/worker.hpp"

namespace weir::net {

class Resolver {
 public:
  using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;

  explicit Resolver(Worker& worker, std::chrono::milliseconds keep_for = std::chrono::seconds(30))
      : worker_(worker), keep_for_(keep_for), resolver_(worker.io()) {}

  // A place in the line for a name; leaves it when destroyed.
  class Wait {
   public:
    Wait(Resolver& resolver, std::string host, std::uint16_t port, Bell bell);
    ~Wait();
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    bool ready() const { return ready_; }  // the bell rings when it becomes true; it may be from the start
    const Endpoints& endpoints() const { return endpoints_; }  // empty: the name could not be resolved
    const std::string& error() const { return error_; }

   private:
    friend class Resolver;
    Resolver& resolver_;
    std::pair<std::string, std::uint16_t> key_;
    Bell bell_;
    bool ready_ = false;
    Endpoints endpoints_;
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
  void look_up(const Key& key);
  void answer(const Key& key, Endpoints endpoints, const std::string& error);

  Worker& worker_;
  const std::chrono::milliseconds keep_for_;
  boost::asio::ip::tcp::resolver resolver_;
  std::map<Key, Entry> entries_;                                         // as many as there are upstream hosts
  std::shared_ptr<Resolver*> self_ = std::make_shared<Resolver*>(this);  // an answer may come when this is gone
};

}  // namespace weir::net
