// What the exchanges of one worker share, and what all workers share. Built by app, handed to every session.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/upstream_pool.hpp"
#include "net/worker.hpp"
#include "observe/caller_history.hpp"
#include "observe/exchange_log.hpp"
#include "observe/history.hpp"
#include "observe/metrics.hpp"
#include "protocol/request_view.hpp"
#include "protocol/token_estimator.hpp"
#include "proxy/account_health.hpp"
#include "proxy/admission_gate.hpp"
#include "proxy/body_room.hpp"
#include "proxy/issued_ids.hpp"
#include "proxy/kept_bodies.hpp"
#include "proxy/output_forecast.hpp"
#include "proxy/recent_calls.hpp"
#include "proxy/retries.hpp"
#include "proxy/snapshot.hpp"
#include "proxy/upstream_models.hpp"
#include "proxy/usage_refusals.hpp"

namespace weir::proxy {

class Session;

struct WorkerContext;

// Shared by all workers. Everything in it is safe to use from any thread.
struct Shared {
  explicit Shared(observe::Log& l);
  ~Shared();
  observe::Log& log;
  observe::Metrics metrics;
  observe::History history{std::chrono::system_clock::now()};
  observe::CallerHistory callers;
  void note(const observe::ExchangeRecord& record);
  IssuedIds issued;
  AdmissionGate gate;
  // When callers that were refused had first come: their place in line when their SDK comes back, within the longest
  // hint that one follows; as many as may wait.
  RecentCalls<net::Instant> old_places{std::chrono::minutes(2), 10'000};
  // What callers would have been told whose JSON answer had to be broken off, since white space had gone out before it.
  RecentCalls<Refusal> true_answers{std::chrono::seconds(60), 1000};
  Retries retries;
  BodyRoom body_room;
  KeptBodies kept_bodies;
  AccountHealth health;
  protocol::TokenEstimator estimator;
  OutputForecast outputs;
  UsageRefusals usage_refusals;
  std::string via;  // weir's pseudonym in Via: "weir-" and an id of this process, to tell loops from chains
  std::atomic<bool> draining{false};    // no new requests: shutdown has begun
  std::atomic<bool> announcing{false};  // /readyz says no, requests are still taken
  // Reloads the configuration on the control thread; `done` is called there with nothing, or with what was wrong.
  std::function<void(std::function<void(std::optional<std::string>)>)> reload;
  // Runs a job on the control thread, where nobody's call waits for it.
  std::function<void(std::function<void()>)> elsewhere;
  std::function<std::string()> mint_id;  // "req_" and 24 random hex digits
  // Complete before the first connection. Of another worker, only the counts may be read.
  std::vector<const WorkerContext*> workers;
};

// One per worker; used on its thread only.
struct WorkerContext {
  net::Worker& worker;
  Shared& shared;
  SnapshotPtr snapshot;  // of the last reload; an exchange takes its own reference
  net::UpstreamPool pool;
  protocol::RequestReader reader;
  UpstreamModels models;
  std::vector<Session*> sessions;        // live ones, for shutdown
  net::Count clients;                    // those of `sessions` that are not operators', for other threads
  std::vector<std::string_view> data;    // scratch of the relay: body data of one read
  std::vector<std::string_view> slices;  // scratch of the relay: what crosses
  std::vector<std::string_view> pieces;  // scratch of a write

  WorkerContext(net::Worker& w, Shared& s, SnapshotPtr first);
  ~WorkerContext();
};

}  // namespace weir::proxy
