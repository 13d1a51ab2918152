#include "observe/caller_history.hpp"

#include "observe/json_text.hpp"

namespace weir::observe {
namespace {

using std::chrono::milliseconds;

void put_text(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  append_json_name(out, name);
  append_json_string(out, value);
}

template <typename Number>
void put_number(std::string& out, std::string_view name, Number value) {
  append_json_name(out, name);
  out += std::to_string(value);
}

void put_number(std::string& out, std::string_view name, const std::optional<std::uint64_t>& value) {
  if (value) put_number(out, name, *value);
}

}  // namespace

std::deque<CallerHistory::Call>& CallerHistory::calls_of(const std::string& name) {
  if (const auto known = places_.find(name); known != places_.end()) {
    callers_.splice(callers_.begin(), callers_, known->second);
    return known->second->calls;
  }
  if (callers_.size() == callers_max) {
    places_.erase(callers_.back().name);
    callers_.pop_back();
  }
  callers_.push_front({name, {}});
  places_.emplace(callers_.front().name, callers_.begin());
  return callers_.front().calls;
}

void CallerHistory::exchange(const ExchangeRecord& record, Time now) {
  if (record.client.empty() || record.upstream.empty()) return;
  Call call;
  call.ended = now;
  call.request_id = record.request_id;
  call.model = record.model;
  call.upstream = record.upstream;
  call.upstream_request_id = record.upstream_request_id;
  call.outcome = record.outcome;
  call.error = record.error;
  call.status = record.status;
  call.attempts = record.attempts;
  call.queued = record.queued_upstream;
  if (record.queued) call.queued += std::chrono::duration_cast<milliseconds>(*record.queued);
  call.duration = std::chrono::duration_cast<milliseconds>(record.duration);
  call.reserved_tokens = record.reserved_tokens;
  call.input_tokens = record.input_tokens;
  call.output_tokens = record.output_tokens;

  const std::scoped_lock lock(mutex_);
  std::deque<Call>& calls = calls_of(record.client_identity.empty() ? record.client : record.client_identity);
  if (calls.size() == calls_max) calls.pop_front();
  calls.push_back(std::move(call));
}

std::string CallerHistory::json(std::string_view caller) const {
  const std::scoped_lock lock(mutex_);
  std::string out = "[";
  const auto known = places_.find(caller);
  if (known == places_.end()) return out + "]";
  const std::deque<Call>& calls = known->second->calls;
  for (auto call = calls.rbegin(); call != calls.rend(); ++call) {
    out += out.back() == '[' ? "{" : ",{";
    put_text(out, "id", call->request_id);
    put_number(out, "ended", std::chrono::duration_cast<std::chrono::seconds>(call->ended.time_since_epoch()).count());
    put_text(out, "model", call->model);
    put_number(out, "status", call->status);
    put_text(out, "outcome", call->outcome);
    put_text(out, "error", call->error);
    put_text(out, "upstream", call->upstream);
    put_text(out, "upstream_request_id", call->upstream_request_id);
    put_number(out, "attempts", call->attempts);
    put_number(out, "queue_ms", call->queued.count());
    put_number(out, "duration_ms", call->duration.count());
    put_number(out, "reserved_tokens", call->reserved_tokens);
    put_number(out, "input_tokens", call->input_tokens);
    put_number(out, "output_tokens", call->output_tokens);
    out += '}';
  }
  return out + "]";
}

}  // namespace weir::observe
