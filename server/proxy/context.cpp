#include "proxy/context.hpp"

#include <utility>

namespace weir::proxy {

Shared::Shared(observe::Log& l) : log(l) {}

Shared::~Shared() = default;

void Shared::note(const observe::ExchangeRecord& record) {
  const auto now = std::chrono::system_clock::now();
  log.exchange(record);
  metrics.exchange(record);
  history.exchange(record, now);
  callers.exchange(record, now);
}

WorkerContext::WorkerContext(net::Worker& w, Shared& s, SnapshotPtr first)
    : worker(w), shared(s), snapshot(std::move(first)), pool(w) {}

WorkerContext::~WorkerContext() = default;

}  // namespace weir::proxy
