#include "simulator/simulator.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <vector>

#include "net/listener.hpp"
#include "simulator/session.hpp"

namespace weir::simulator {
namespace {

// Values that would divide by nothing or never end.
Options sane(Options options) {
  options.window = std::max(options.window, Duration(std::chrono::milliseconds(1)));
  options.workers = std::clamp(options.workers, 1u, 256u);
  if (!(options.burst > 0)) options.burst = 1;
  return options;
}

// A bench opens thousands of streams; the soft limit is often 1,024.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// One worker with its thread and what it listens on.
struct Station {
  Station(const Options& options, Ledger& ledger, Stores& stores, unsigned index)
      : desk(worker, options, ledger, stores, index) {}

  net::Worker worker;
  Desk desk;
  std::vector<std::unique_ptr<net::Listener>> listeners;
  std::thread thread;

  void listen_on(const boost::asio::ip::tcp::endpoint& endpoint) {
    listeners.push_back(std::make_unique<net::Listener>(worker, endpoint, [this](net::Socket socket) {
      net::spawn(serve(desk, net::make_socket_wire(std::move(socket))));
    }));
    listeners.back()->start();
  }

  // On the worker's thread.
  void stop() {
    for (const auto& listener : listeners) listener->stop();
    while (!desk.sessions.empty()) desk.sessions.back()->stop();
    worker.io().stop();
  }
};

}  // namespace

struct Simulator::Impl {
  explicit Impl(const Options& given) : options(sane(given)), ledger(options) {}

  const Options options;
  Ledger ledger;
  Stores stores;
  std::vector<std::unique_ptr<Station>> stations;
  boost::asio::ip::tcp::endpoint endpoint;  // the first
};

Simulator::Simulator(const Options& options) : impl_(new Impl(options)) {
  const auto endpoints = net::claim(net::parse_listen(impl_->options.listen));
  impl_->endpoint = endpoints.front();
  for (unsigned i = 0; i < impl_->options.workers; ++i) {
    impl_->stations.push_back(std::make_unique<Station>(impl_->options, impl_->ledger, impl_->stores, i));
    for (const auto& endpoint : endpoints) impl_->stations.back()->listen_on(endpoint);
  }
  for (const auto& station : impl_->stations)
    station->thread = std::thread([&worker = station->worker] { worker.run(); });
}

Simulator::~Simulator() {
  stop();
}

void Simulator::stop() {
  for (const auto& station : impl_->stations) station->worker.post([&station = *station] { station.stop(); });
  for (const auto& station : impl_->stations) station->thread.join();
  impl_->stations.clear();
}

std::uint16_t Simulator::port() const {
  return impl_->endpoint.port();
}

std::string Simulator::origin() const {
  const auto address = impl_->endpoint.address();
  const std::string host = address.is_unspecified() ? "127.0.0.1" : address.to_string();
  return "http://" + (address.is_v6() && !address.is_unspecified() ? "[" + host + "]" : host) + ":" +
         std::to_string(port());
}

Stats Simulator::stats() const {
  return impl_->ledger.stats();
}

void Simulator::reset() {
  impl_->ledger.reset();
}

int run(const Options& options) {
  // Blocked before any thread starts, so that only sigwait() below sees them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  raise_descriptor_limit();
  try {
    Simulator simulator(options);
    std::fprintf(stderr, "weir simulate: listening on %s\n", simulator.origin().c_str());
    int received = 0;
    sigwait(&signals, &received);
    return 0;
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "weir simulate: %s\n", error.what());
    return 2;
  } catch (const std::runtime_error& error) {
    std::fprintf(stderr, "weir simulate: %s\n", error.what());
    return 1;
  }
}

}  // namespace weir::simulator
