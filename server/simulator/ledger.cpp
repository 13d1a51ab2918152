#include "simulator/ledger.hpp"

#include <algorithm>
#include <utility>

namespace weir::simulator {
namespace {

using Lock = std::lock_guard<std::mutex>;

Instant now() {
  return std::chrono::steady_clock::now();
}

Cause cause_of(Verdict::Refusal refusal) {
  if (refusal == Verdict::Refusal::requests) return Cause::requests;
  return refusal == Verdict::Refusal::tokens ? Cause::tokens : Cause::concurrency;
}

}  // namespace

Permit::~Permit() {
  if (ledger_) ledger_->finish(tokens_);
}

void Permit::produce(std::uint64_t tokens) {
  if (!ledger_ || tokens == 0) return;
  tokens_ += tokens;
  ledger_->produce(tokens);
}

Ledger::Ledger(const Options& options)
    : options_(options),
      limits_(options),
      requests_log_(options.window),
      received_log_(options.window),
      charged_log_(options.window),
      used_log_(options.window),
      random_(options.seed) {}

Admission Ledger::admit(const Claim& claim) {
  const Lock lock(mutex_);
  const Instant at = now();
  Admission admission;
  admission.verdict = limits_.admit(claim, at);
  admission.requests = limits_.requests(at);
  admission.tokens = limits_.tokens(at);
  if (admission.verdict.refusal != Verdict::Refusal::none) {
    ++stats_.refused[static_cast<std::size_t>(cause_of(admission.verdict.refusal))];
    return admission;
  }
  admission.permit = Permit(*this, claim.input);
  ++stats_.accepted;
  stats_.tokens_in += claim.input;
  stats_.in_flight_largest = std::max(stats_.in_flight_largest, limits_.in_flight());
  requests_log_.add(1, at);
  used_log_.add(claim.input, at);
  charged_log_.add(options_.charge == Charge::none ? claim.input : limits_.charge_on_arrival(claim), at);
  return admission;
}

void Ledger::produce(std::uint64_t tokens) {
  const Lock lock(mutex_);
  const Instant at = now();
  stats_.tokens_out += tokens;
  limits_.produce(tokens, at);
  used_log_.add(tokens, at);
  if (limits_.charges_as_produced() || options_.charge == Charge::none) charged_log_.add(tokens, at);
}

void Ledger::finish(std::uint64_t tokens) {
  const Lock lock(mutex_);
  const Instant at = now();
  limits_.finish(tokens, at);
  if (limits_.charges_at_end()) charged_log_.add(tokens, at);
}

std::uint64_t Ledger::next_of_scenario(const std::string& scenario) {
  const Lock lock(mutex_);
  const auto [place, is_new] = scenarios_.try_emplace(scenario, 0);
  const std::uint64_t index = place->second++;
  if (is_new && !scenario.empty()) {
    scenario_order_.push_back(scenario);
    if (scenario_order_.size() > scenarios_max) {
      scenarios_.erase(scenario_order_.front());
      scenario_order_.pop_front();
    }
  }
  return index;
}

bool Ledger::roll(double probability) {
  const Lock lock(mutex_);
  return std::bernoulli_distribution(probability)(random_);
}

void Ledger::received(Route route) {
  const Lock lock(mutex_);
  ++stats_.received[static_cast<std::size_t>(route)];
  if (is_inference(route)) received_log_.add(1, now());
}

void Ledger::refused(Cause cause) {
  const Lock lock(mutex_);
  ++stats_.refused[static_cast<std::size_t>(cause)];
}

void Ledger::connection_opened() {
  const Lock lock(mutex_);
  ++stats_.connections_opened;
  ++stats_.connections_open;
}

void Ledger::connection_closed() {
  const Lock lock(mutex_);
  --stats_.connections_open;
}

void Ledger::stream_opened() {
  const Lock lock(mutex_);
  ++stats_.streams_open;
}

void Ledger::stream_closed() {
  const Lock lock(mutex_);
  --stats_.streams_open;
}

void Ledger::client_left() {
  const Lock lock(mutex_);
  ++stats_.client_disconnects;
}

void Ledger::remember(std::string_view head, std::string_view body, std::uint64_t body_bytes) {
  const Lock lock(mutex_);
  last_.head = head;
  last_.body = body.substr(0, kept_body_max);
  last_.body_bytes = body_bytes;
}

LastRequest Ledger::last_request() {
  const Lock lock(mutex_);
  return last_;
}

Stats Ledger::stats() {
  const Lock lock(mutex_);
  Stats stats = stats_;
  stats.in_flight = limits_.in_flight();
  stats.window = options_.window;
  stats.largest_requests = requests_log_.largest();
  stats.largest_requests_received = received_log_.largest();
  stats.largest_tokens = charged_log_.largest();
  stats.largest_tokens_used = used_log_.largest();
  return stats;
}

void Ledger::reset() {
  const Lock lock(mutex_);
  Stats fresh;
  fresh.connections_open = stats_.connections_open;
  fresh.streams_open = stats_.streams_open;
  fresh.in_flight_largest = limits_.in_flight();
  stats_ = fresh;
  limits_.forget_charges(options_);
  for (WindowLog* log : {&requests_log_, &received_log_, &charged_log_, &used_log_}) *log = WindowLog(options_.window);
  scenarios_.clear();
  scenario_order_.clear();
  random_.seed(options_.seed);
  last_ = LastRequest();
}

}  // namespace weir::simulator
