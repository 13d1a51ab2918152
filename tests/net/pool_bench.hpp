// What the tests of the upstream pool share: a pool, and one exchange at a time that takes connections from it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "net/upstream_pool.hpp"
#include "support/run_worker.hpp"

namespace weir::test {

using net::Endpoint;
using net::Failure;
using net::Lease;
using net::Signal;
using Choice = net::UpstreamPool::Choice;
using Status = net::IoStep::Status;

inline constexpr char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

inline Endpoint plain(std::uint16_t port, std::string host = "127.0.0.1") {
  Endpoint endpoint;
  endpoint.host = std::move(host);
  endpoint.port = port;
  endpoint.key = "http://" + endpoint.host + ":" + std::to_string(port);
  return endpoint;
}

// A pool and one exchange at a time that uses it.
struct PoolBench {
  enum Bit : Signal::Bits { progress = 1, watch = 2, readable = 4 };
  net::Worker worker;
  net::UpstreamPool pool;
  Signal signal;
  bool wanted = true;
  int asked = 0;  // how often still_wanted was

  std::variant<Lease, Failure> result;
  bool done = false;

  explicit PoolBench(net::ResolverOptions resolving = {})
      : pool(worker, net::UpstreamPool::default_idle_max, std::move(resolving)) {}

  net::Task<void> acquire_into(const Endpoint& endpoint, Choice choice) {
    net::OpenContext context{signal, progress, watch, {}};
    context.still_wanted = [this](Signal::Bits) { return ++asked, wanted; };
    auto acquired = co_await pool.acquire(endpoint, std::move(context), choice);
    result = std::move(acquired);
    done = true;
  }
  void begin(const Endpoint& endpoint, Choice choice = Choice::any) {
    done = false;
    spawn(acquire_into(endpoint, choice));
  }
  bool finish() {
    return run_until(worker, [&] { return done; });
  }
  Lease lease(const Endpoint& endpoint, Choice choice = Choice::any) {
    begin(endpoint, choice);
    finish();
    if (const auto* failure = std::get_if<Failure>(&result)) {
      ADD_FAILURE() << failure->detail;
      return {};
    }
    return std::move(std::get<Lease>(result));
  }
  Failure failure(const Endpoint& endpoint) {
    begin(endpoint);
    finish();
    const auto* failure = std::get_if<Failure>(&result);
    if (!failure) ADD_FAILURE() << "it connected";
    return failure ? *failure : Failure{};
  }

  // Reads until `marker` has come; what came.
  std::string read_until(Lease& lease, std::string_view marker) {
    net::Connection& connection = lease.connection();
    run_until(worker, [&] {
      const Status status = connection.read_more().status;
      if (status == Status::would_block) connection.wire().wait_readable(net::Bell{&signal, readable});
      return connection.unread().find(marker) != std::string_view::npos || status == Status::failed ||
             status == Status::end;
    });
    std::string text(connection.unread());
    connection.consume(text.size());
    return text;
  }
  std::string exchange(Lease& lease, std::string_view target) {
    lease.connection().write("GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n\r\n");
    return read_until(lease, "ok");
  }
};

}  // namespace weir::test
