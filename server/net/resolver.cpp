#include "net/resolver.hpp"

#include "net/head.hpp"

namespace weir::net {

Resolver::Wait::Wait(Resolver& resolver, std::string host, std::uint16_t port, Bell bell)
    : resolver_(resolver), key_(std::move(host), port), bell_(bell) {
  boost::system::error_code not_an_address;
  const auto address = boost::asio::ip::make_address(key_.first, not_an_address);
  if (!not_an_address) {
    endpoints_.emplace_back(address, port);
    ready_ = true;
    return;
  }
  // RFC 6761: this name means loopback, also where there is no /etc/hosts to say so (a container from scratch).
  if (equals_ignoring_case(key_.first, "localhost")) {
    endpoints_.emplace_back(boost::asio::ip::address_v4::loopback(), port);
    endpoints_.emplace_back(boost::asio::ip::address_v6::loopback(), port);
    ready_ = true;
    return;
  }
  Entry& entry = resolver_.entries_[key_];
  if (!entry.endpoints.empty() && Clock::now() < entry.fresh_until) {
    endpoints_ = entry.endpoints;
    ready_ = true;
    return;
  }
  entry.waiters.push_back(this);
  if (!entry.under_way) resolver_.look_up(key_);
}

Resolver::Wait::~Wait() {
  if (ready_) return;
  Entry& entry = resolver_.entries_[key_];
  std::erase(entry.waiters, this);
  std::erase(entry.settling, this);
}

void Resolver::look_up(const Key& key) {
  entries_[key].under_way = true;
  resolver_.async_resolve(
      key.first, std::to_string(key.second), boost::asio::ip::tcp::resolver::numeric_service,
      [this, key, alive = std::weak_ptr<Resolver*>(self_)](
          const boost::system::error_code& error, const boost::asio::ip::tcp::resolver::results_type& results) {
        if (alive.expired() || error == boost::asio::error::operation_aborted) return;
        Endpoints endpoints;
        for (const auto& result : results) endpoints.push_back(result.endpoint());
        answer(key, std::move(endpoints), error ? error.message() : std::string());
      });
}

void Resolver::answer(const Key& key, Endpoints endpoints, const std::string& error) {
  Entry& entry = entries_[key];
  entry.under_way = false;
  if (!endpoints.empty()) {
    entry.endpoints = std::move(endpoints);
    entry.fresh_until = Clock::now() + keep_for_;
  }
  // Ringing a waiter may remove others and add new ones, which wait for the next look-up.
  entry.settling = std::move(entry.waiters);
  entry.waiters.clear();
  while (!entry.settling.empty()) {
    Wait& wait = *entry.settling.back();
    entry.settling.pop_back();
    wait.endpoints_ = entry.endpoints;
    wait.error_ = error;
    wait.ready_ = true;
    wait.bell_.ring();
  }
}

}  // namespace weir::net
