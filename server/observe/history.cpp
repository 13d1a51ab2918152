#include "observe/history.hpp"

#include <algorithm>
#include <cstdio>

#include "observe/json_text.hpp"

namespace weir::observe {
namespace {

std::int64_t seconds_of(History::Time time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

std::string decimal(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g", value);
  return text.data();
}

// "name":"value", with a comma before it unless it is the first.
void member(std::string& out, std::string_view name, std::string_view value) {
  append_json_name(out, name);
  append_json_string(out, value);
}

void number(std::string& out, std::string_view name, const std::string& value) {
  append_json_name(out, name);
  out += value;
}

}  // namespace

History::Step& History::step_at(Time now) {
  const std::int64_t number = seconds_of(now) / step.count();
  Step& place = steps_[static_cast<std::size_t>(number) % steps];
  if (place.number != number) {
    place = Step{};
    place.number = number;
  }
  return place;
}

void History::exchange(const ExchangeRecord& record, Time now) {
  const std::scoped_lock lock(mutex_);
  Step& current = step_at(now);
  const bool good = record.outcome == "ok" || record.outcome == "client_left";
  ++current.requests;
  current.failed += good ? 0 : 1;
  current.input_tokens += record.input_tokens.value_or(record.cut_input_tokens);
  current.output_tokens += record.output_tokens.value_or(record.cut_output_tokens);
  if (record.queued) {
    const double waited = std::chrono::duration<double>(*record.queued).count();
    current.wait_sum += waited;
    current.wait_max = std::max(current.wait_max, waited);
  }
  if (record.input_tokens || record.output_tokens || record.cut_output_tokens > 0) note_spent(record);
  if (good) return;
  const std::string status = record.status > 0 ? std::to_string(record.status) : "no answer";
  const std::string code = !record.error.empty()  ? record.error
                           : record.cause.empty() ? status
                                                  : std::string(record.cause);
  if (errors_.size() >= errors_max) errors_.pop_front();
  errors_.push_back({now, record.client, record.model, record.upstream, code,
                     record.detail.empty() ? "The upstream answered " + status + "." : record.detail});
}

void History::note_spent(const ExchangeRecord& record) {
  std::tuple who{record.client, record.model, record.currency};
  if (spent_.size() >= spenders_max && !spent_.contains(who)) who = {"other", "other", record.currency};
  Spent& spent = spent_[who];
  ++spent.requests;
  spent.input_tokens += record.input_tokens.value_or(record.cut_input_tokens);
  spent.cached_tokens += record.cached_tokens.value_or(0);
  spent.output_tokens += record.output_tokens.value_or(record.cut_output_tokens);
  spent.reasoning_tokens += record.reasoning_tokens.value_or(0);
  spent.cost += record.cost.value_or(0);
  spent.priced = spent.priced && record.cost.has_value();
}

std::string History::json(Time now) const {
  const std::scoped_lock lock(mutex_);
  std::string out = "{";
  number(out, "schema", "1");
  number(out, "now", std::to_string(seconds_of(now)));
  number(out, "started", std::to_string(seconds_of(started_)));
  number(out, "step_seconds", std::to_string(step.count()));
  out += ",\"steps\":[";
  const std::int64_t last = seconds_of(now) / step.count();
  for (std::int64_t i = last - static_cast<std::int64_t>(steps) + 1; i <= last; ++i) {
    const Step& kept = steps_[static_cast<std::size_t>(i) % steps];
    const Step shown = kept.number == i ? kept : Step{};
    out += out.back() == '[' ? "{" : ",{";
    number(out, "at", std::to_string(i * History::step.count()));
    number(out, "requests", std::to_string(shown.requests));
    number(out, "failed", std::to_string(shown.failed));
    number(out, "input_tokens", std::to_string(shown.input_tokens));
    number(out, "output_tokens", std::to_string(shown.output_tokens));
    number(out, "wait_mean_s", decimal(shown.requests == 0 ? 0 : shown.wait_sum / static_cast<double>(shown.requests)));
    number(out, "wait_max_s", decimal(shown.wait_max));
    out += '}';
  }
  out += "],\"spent\":[";
  for (const auto& [who, spent] : spent_) {
    const auto& [key, model, currency] = who;
    out += out.back() == '[' ? "{" : ",{";
    member(out, "key", key);
    member(out, "model", model);
    number(out, "requests", std::to_string(spent.requests));
    number(out, "input_tokens", std::to_string(spent.input_tokens));
    number(out, "cached_tokens", std::to_string(spent.cached_tokens));
    number(out, "output_tokens", std::to_string(spent.output_tokens));
    number(out, "reasoning_tokens", std::to_string(spent.reasoning_tokens));
    number(out, "cost", spent.priced ? decimal(spent.cost) : "null");
    member(out, "currency", currency);
    out += '}';
  }
  out += "],\"errors\":[";
  for (auto error = errors_.rbegin(); error != errors_.rend(); ++error) {
    out += out.back() == '[' ? "{" : ",{";
    number(out, "at", std::to_string(seconds_of(error->at)));
    member(out, "key", error->key);
    member(out, "model", error->model);
    member(out, "upstream", error->upstream);
    member(out, "code", error->code);
    member(out, "words", error->words);
    out += '}';
  }
  return out + "]}";
}

}  // namespace weir::observe
