#include "observe/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <sstream>
#include <unordered_map>

#include "observe/bounded_names.hpp"
#include "observe/process_figures.hpp"
#include "observe/utf8.hpp"

namespace weir::observe {
namespace {

using prometheus::ClientMetric;
using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Labels;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Buckets = Histogram::BucketBoundaries;

// The buckets of OpenTelemetry's GenAI metrics, and above: a call may wait ten minutes in line and run for thirty.
const Buckets duration_buckets{0.01,  0.02,  0.04,  0.08,  0.16,  0.32,  0.64,  1.28,   2.56,  5.12,
                               10.24, 20.48, 40.96, 81.92, 160.0, 320.0, 640.0, 1280.0, 1800.0};
const Buckets wait_buckets{0.001, 0.01, 0.1, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 240, 480, 600, 1200, 1800};
const Buckets token_buckets{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864};
const Buckets error_buckets{0.01, 0.02, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2, 5};
const Buckets gap_buckets(ContentGaps::bounds.begin(), ContentGaps::bounds.end());

// Label values are bounded: a client can invent models, and in pass-through mode keys. A model is some 200 lines of the
// page, so that 40 invented ones, of 128 bytes each, stay below 2 MB; those of the configuration do not count.
constexpr std::size_t keys_max = 1000, models_invented_max = 40, combinations_max = 5000;

// An account without money is told with the provider's own code, which can be anything.
std::string_view reason_of(std::string_view code) {
  constexpr std::array<std::string_view, 9> other_words{
      "invalid_json",      "invalid_parameter",  "duplicate_key",   "unsupported_parameter", "invalid_api_key",
      "model_not_allowed", "origin_not_allowed", "model_not_found", "connections_max"};
  const bool own =
      code.starts_with("weir_") || std::find(other_words.begin(), other_words.end(), code) != other_words.end();
  return own ? code : "upstream_error";
}

// The series that exchanges of one key, model and upstream add to: one look-up per exchange finds them all.
struct Series {
  std::string key, model, upstream;
  struct Operation {
    Histogram* input = nullptr;
    Histogram* output = nullptr;
    Histogram* duration = nullptr;
    Histogram* first_chunk = nullptr;
    Histogram* per_chunk = nullptr;
  };
  std::unordered_map<std::string, Counter*> outcomes;
  std::unordered_map<std::string, Counter*> responses;  // status and cause
  std::unordered_map<std::string_view, Operation> operations;
  std::unordered_map<std::string_view, Histogram*> waits;  // by priority
  Counter* input = nullptr;
  Counter* cached = nullptr;
  Counter* output = nullptr;
  Counter* reasoning = nullptr;
  Counter* reserved = nullptr;
  Counter* settled = nullptr;
  Histogram* duration = nullptr;
  Histogram* first_content = nullptr;
  Histogram* first_byte = nullptr;
  Histogram* estimate_error = nullptr;

  Labels who() const { return {{"key", key}, {"model", model}, {"upstream", upstream}}; }
  Labels model_at_upstream() const { return {{"model", model}, {"upstream", upstream}}; }
};

// A series comes into being with its first sample; only then its labels are made.
template <class MakeLabels>
Counter& counter_at(Counter*& place, Family<Counter>& family, MakeLabels labels) {
  if (!place) place = &family.Add(labels());
  return *place;
}

template <class MakeLabels>
void observe(Histogram*& place, Family<Histogram>& family, const Buckets& buckets, double value, MakeLabels labels) {
  if (!place) place = &family.Add(labels(), buckets);
  place->Observe(value);
}

void add_gaps(Histogram& histogram, const ContentGaps& gaps) {
  histogram.ObserveMultiple(std::vector<double>(gaps.counts.begin(), gaps.counts.end()), gaps.sum);
}

double seconds_of(std::chrono::microseconds time) {
  return std::chrono::duration<double>(time).count();
}

Labels with(Labels labels, const char* name, const std::string& value) {
  labels.emplace(name, value);
  return labels;
}

MetricFamily gauge_family(std::string name, std::string help) {
  MetricFamily family;
  family.name = std::move(name);
  family.help = std::move(help);
  family.type = MetricType::Gauge;
  return family;
}

void add_level(MetricFamily& family, double value, std::vector<ClientMetric::Label> labels = {}) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = value;
  family.metric.push_back(std::move(metric));
}

MetricFamily level(std::string name, std::string help, double value) {
  MetricFamily family = gauge_family(std::move(name), std::move(help));
  add_level(family, value);
  return family;
}

MetricFamily count(std::string name, std::string help, double value) {
  MetricFamily family = level(std::move(name), std::move(help), value);
  family.type = MetricType::Counter;
  std::swap(family.metric.front().counter.value, family.metric.front().gauge.value);
  return family;
}

// One value that is not UTF-8, and Prometheus takes nothing of the whole text.
void clean_labels(std::vector<MetricFamily>& families) {
  for (MetricFamily& family : families) {
    for (ClientMetric& metric : family.metric) {
      for (ClientMetric::Label& label : metric.label) label.value = clean_utf8(label.value);
    }
  }
}

}  // namespace

struct Metrics::Impl {
  prometheus::Registry registry;

  Family<Counter>& counter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  Family<Gauge>& gauge(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  }
  Family<Histogram>& histogram(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }

  Family<Counter>& requests = counter("weir_requests_total", "Requests by what became of them.");
  Family<Counter>& tokens =
      counter("weir_tokens_total",
              "Tokens as the upstream reported them; cached is a part of input, reasoning a part of output.");
  Family<Counter>& reserved =
      counter("weir_reserved_tokens_total", "Tokens that requests reserved before they were sent.");
  Family<Counter>& settled =
      counter("weir_settled_tokens_total", "Tokens that requests turned out to use, where reported.");
  Family<Counter>& rejections = counter("weir_rejections_total", "Requests that weir refused itself, by code.");
  Family<Counter>& responses =
      counter("weir_upstream_responses_total", "Calls to upstreams by status (0: no answer) and cause of failure.");
  Family<Counter>& retries = counter("weir_upstream_retries_total", "Calls to upstreams that repeated a failed one.");
  Family<Counter>& double_charges =
      counter("weir_upstream_possible_double_charges_total",
              "Repeated calls of which a try was sent and not answered in full: the upstream may have billed both.");
  Family<Histogram>& durations =
      histogram("weir_request_duration_seconds", "From the request's head to the end of its answer.");
  Family<Histogram>& first_contents =
      histogram("weir_time_to_first_content_seconds", "From the request's head to the first word of its answer.");
  Family<Histogram>& first_bytes =
      histogram("weir_time_to_first_byte_seconds", "From the request's head to the upstream's first byte.");
  Family<Histogram>& waits =
      histogram("weir_queue_wait_seconds", "Time in line for budget, by lane: a key's requests of one priority.");
  Family<Histogram>& estimate_errors = histogram(
      "weir_estimate_error_ratio", "Distance of the estimated prompt tokens from the reported, over the reported.");
  Family<Histogram>& usages = histogram("gen_ai_client_token_usage", "Tokens of a request, by OpenTelemetry's names.");
  Family<Histogram>& operations =
      histogram("gen_ai_client_operation_duration_seconds", "Duration of a request, by OpenTelemetry's names.");
  Family<Histogram>& first_chunks = histogram("gen_ai_client_operation_time_to_first_chunk_seconds",
                                              "Time to the first word of a stream, by OpenTelemetry's names.");
  Family<Histogram>& per_chunks = histogram("gen_ai_client_operation_time_per_output_chunk_seconds",
                                            "Time from one content of a stream to the next, by OpenTelemetry's names.");
  Gauge& streams = gauge("weir_streams_open", "Streamed answers under way.").Add({});
  Histogram& gaps =
      histogram("weir_content_gap_seconds", "Silence between two contents of a stream.").Add({}, gap_buckets);
  Counter& keepalives =
      counter("weir_keepalives_absorbed_total", "Keep-alives of upstreams that no client saw.").Add({});
  Counter& heartbeats = counter("weir_heartbeats_sent_total", "Signs of life sent to waiting clients.").Add({});
  Gauge& reload_successful =
      gauge("weir_config_last_reload_successful", "1: the last (re)load of the configuration succeeded.").Add({});

  std::mutex mutex;  // of what follows
  BoundedNames keys{keys_max}, models{models_invented_max};
  std::unordered_map<std::string, Series> series;

  Impl() {
    gauge("weir_build_info", "The build, in labels.").Add({{"version", WEIR_VERSION}}).Set(1);
    reload_successful.Set(1);
  }

  void count_rejection(std::string_view code) {
    rejections.Add({{"reason", std::string(reason_of(code))}}).Increment();
  }

  // These are for the holder of the mutex.
  Series& series_of(const ExchangeRecord& record) {
    // Refused before an upstream was chosen: the model is whatever the client wrote.
    const std::string_view asked = record.upstream.empty() ? std::string_view() : record.model;
    const std::string_view caller = record.client.empty() ? std::string_view("anonymous") : record.client;
    const auto id_of = [](std::string_view key, std::string_view model, std::string_view upstream) {
      std::string id;
      id.reserve(key.size() + model.size() + upstream.size() + 2);
      return id.append(key).append("\n").append(model).append("\n").append(upstream);
    };
    if (const auto known = series.find(id_of(caller, asked, record.upstream)); known != series.end())
      return known->second;
    std::string model = asked.empty() ? std::string() : models.bound(record.model);
    std::string key = keys.bound(std::string(caller)), upstream = record.upstream;
    std::string id = id_of(key, model, upstream);
    auto found = series.find(id);
    if (found == series.end()) {
      if (series.size() >= combinations_max) {
        key = model = upstream = "other";
        id = "other";
      }
      found = series.try_emplace(id).first;
      found->second.key = std::move(key);
      found->second.model = std::move(model);
      found->second.upstream = std::move(upstream);
    }
    return found->second;
  }

  void count_tokens(const ExchangeRecord& record, Series& of) {
    const auto count = [&](std::optional<std::uint64_t> amount, Counter*& to, const char* kind) {
      if (!amount || *amount == 0) return;
      counter_at(to, tokens, [&] { return with(of.who(), "kind", kind); }).Increment(static_cast<double>(*amount));
    };
    count(record.input_tokens, of.input, "input");
    count(record.cached_tokens, of.cached, "cached");
    count(record.output_tokens, of.output, "output");
    count(record.reasoning_tokens, of.reasoning, "reasoning");
    const auto labels = [&] { return of.model_at_upstream(); };
    if (record.reserved_tokens) {
      counter_at(of.reserved, reserved, labels).Increment(static_cast<double>(*record.reserved_tokens));
    }
    if (record.input_tokens || record.output_tokens) {
      const auto used = record.input_tokens.value_or(0) + record.output_tokens.value_or(0);
      counter_at(of.settled, settled, labels).Increment(static_cast<double>(used));
    }
    if (record.estimated_input_tokens && record.input_tokens && *record.input_tokens > 0) {
      const auto real = static_cast<double>(*record.input_tokens);
      const double error = std::abs(static_cast<double>(*record.estimated_input_tokens) - real) / real;
      observe(of.estimate_error, estimate_errors, error_buckets, error, [&] { return Labels{{"model", of.model}}; });
    }
  }

  void note_tries(const ExchangeRecord& record, Series& of) {
    for (std::size_t i = 0; i < record.tries.size(); ++i) {
      const UpstreamTry& each = record.tries[i];
      const std::string status = std::to_string(each.status);
      const auto labels = [&] {
        return Labels{{"upstream", each.upstream}, {"status", status}, {"cause", each.cause}};
      };
      // Accounts of one request may differ; those of the series are cached.
      if (each.upstream == of.upstream) {
        counter_at(of.responses[status + '\n' + each.cause], responses, labels).Increment();
      } else {
        responses.Add(labels()).Increment();
      }
      if (i == 0) continue;
      retries.Add({{"upstream", each.upstream}}).Increment();
      const UpstreamTry& before = record.tries[i - 1];
      if (before.unanswered) double_charges.Add({{"upstream", before.upstream}}).Increment();
    }
  }

  // By OpenTelemetry's names.
  void note_operation(const ExchangeRecord& record, Series& of) {
    if (record.operation.empty()) return;
    Series::Operation& operation = of.operations[record.operation];
    const auto labels = [&] {
      return Labels{{"gen_ai_operation_name", std::string(record.operation)},
                    {"gen_ai_provider_name", of.upstream},
                    {"gen_ai_request_model", of.model}};
    };
    const auto note = [&](std::optional<std::uint64_t> amount, Histogram*& to, const char* type) {
      if (!amount) return;
      observe(to, usages, token_buckets, static_cast<double>(*amount),
              [&] { return with(labels(), "gen_ai_token_type", type); });
    };
    note(record.input_tokens, operation.input, "input");
    note(record.output_tokens, operation.output, "output");
    observe(operation.duration, operations, duration_buckets, seconds_of(record.duration), labels);
    if (record.stream && record.first_content)
      observe(operation.first_chunk, first_chunks, duration_buckets, seconds_of(*record.first_content), labels);
    if (!record.content_gaps.counts.empty()) {
      if (!operation.per_chunk) operation.per_chunk = &per_chunks.Add(labels(), gap_buckets);
      add_gaps(*operation.per_chunk, record.content_gaps);
    }
  }

  void note_times(const ExchangeRecord& record, Series& of) {
    const auto note = [&](std::optional<std::chrono::microseconds> time, Histogram*& to, Family<Histogram>& family) {
      if (!time) return;
      observe(to, family, duration_buckets, seconds_of(*time), [&] { return of.model_at_upstream(); });
    };
    note(record.duration, of.duration, durations);
    note(record.first_content, of.first_content, first_contents);
    note(record.first_byte, of.first_byte, first_bytes);
    if (record.queued) {
      observe(of.waits[record.priority], waits, wait_buckets, seconds_of(*record.queued),
              [&] { return Labels{{"key", of.key}, {"priority", std::string(record.priority)}}; });
    }
    if (!record.content_gaps.counts.empty()) add_gaps(gaps, record.content_gaps);
  }
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {
  process_figures();  // opens what they are read from, while there are descriptors
}
Metrics::~Metrics() = default;

void Metrics::know_models(std::span<const std::string> names) {
  const std::scoped_lock lock(impl_->mutex);
  impl_->models.know(names);
}

void Metrics::exchange(const ExchangeRecord& record) {
  const std::scoped_lock lock(impl_->mutex);
  Series& series = impl_->series_of(record);
  counter_at(series.outcomes[record.outcome], impl_->requests, [&] {
    return with(series.who(), "outcome", record.outcome);
  }).Increment();
  if (!record.error.empty() && record.attempts == 0) impl_->count_rejection(record.error);
  impl_->count_tokens(record, series);
  impl_->note_tries(record, series);
  impl_->note_operation(record, series);
  impl_->note_times(record, series);
  impl_->keepalives.Increment(static_cast<double>(record.keepalives_absorbed));
}

void Metrics::refused_unread(const std::string& code) {
  impl_->count_rejection(code);
}

void Metrics::heartbeat_sent() {
  impl_->heartbeats.Increment();
}

void Metrics::stream_opened() {
  impl_->streams.Increment();
}

void Metrics::stream_closed() {
  impl_->streams.Decrement();
}

void Metrics::reloaded(bool successful) {
  impl_->reload_successful.Set(successful ? 1 : 0);
}

std::string Metrics::text(const Levels& levels) const {
  std::vector<MetricFamily> families = impl_->registry.Collect();
  // A family without a sample says nothing; promtool is content with either.
  std::erase_if(families, [](const MetricFamily& family) { return family.metric.empty(); });
  families.push_back(level("weir_queue_requests", "Requests in line.", static_cast<double>(levels.queue_requests)));
  families.push_back(
      level("weir_queue_bytes", "Bodies of the requests in line.", static_cast<double>(levels.queue_bytes)));
  families.push_back(level("weir_running_requests", "Requests that have their budget and have not ended.",
                           static_cast<double>(levels.running)));
  families.push_back(level("weir_kept_bodies_bytes", "Bodies of calls without content yet, kept for another try.",
                           static_cast<double>(levels.kept_bodies_bytes)));
  families.push_back(count("weir_kept_bodies_released_total", "Calls whose body was let go, so that none tries again.",
                           static_cast<double>(levels.kept_bodies_released)));
  families.push_back(level("weir_client_connections", "Connections of clients.", static_cast<double>(levels.clients)));
  families.push_back(level("weir_upstream_connections_idle", "Connections to upstreams kept for the next request.",
                           static_cast<double>(levels.upstreams_idle)));
  families.push_back(count("weir_upstream_connections_opened_total", "Connections to upstreams that were opened.",
                           static_cast<double>(levels.upstreams_opened)));
  families.push_back(count("weir_upstream_connections_reused_total", "Requests sent on a connection that was kept.",
                           static_cast<double>(levels.upstreams_reused)));

  MetricFamily limit = gauge_family("weir_budget_limit", "What a meter allows in its window.");
  MetricFamily used = gauge_family("weir_budget_used", "What a meter has charged in its window.");
  MetricFamily reserved = gauge_family("weir_budget_reserved", "What running requests are expected to need.");
  MetricFamily debt = gauge_family("weir_budget_debt", "What was used beyond the limit and is paid off later.");
  for (const Levels::Budget& budget : levels.budgets) {
    const std::vector<ClientMetric::Label> labels{
        {"scope", budget.scope}, {"name", budget.name}, {"meter", budget.meter}};
    add_level(limit, static_cast<double>(budget.limit), labels);
    add_level(used, static_cast<double>(budget.used), labels);
    add_level(reserved, static_cast<double>(budget.reserved), labels);
    add_level(debt, static_cast<double>(budget.debt), labels);
  }
  if (!levels.budgets.empty()) {
    for (MetricFamily* family : {&limit, &used, &reserved, &debt}) families.push_back(std::move(*family));
  }
  MetricFamily breaker =
      gauge_family("weir_upstream_breaker_state", "1 for the state that the upstream's breaker is in.");
  for (const Levels::Breaker& at : levels.breakers) {
    for (const std::string_view state : Levels::breaker_states) {
      add_level(breaker, at.state == state ? 1 : 0, {{"upstream", at.upstream}, {"state", std::string(state)}});
    }
  }
  if (!levels.breakers.empty()) families.push_back(std::move(breaker));
  MetricFamily retry_budget = gauge_family("weir_upstream_retry_budget", "Failed calls that may be repeated now.");
  for (const Levels::RetryBudget& at : levels.retry_budgets)
    add_level(retry_budget, at.left, {{"upstream", at.upstream}});
  if (!levels.retry_budgets.empty()) families.push_back(std::move(retry_budget));
  MetricFamily learned = gauge_family("weir_upstream_learned_limit",
                                      "What was learned of an upstream's limits; the smallest where models differ.");
  for (const Levels::Learned& at : levels.learned) {
    add_level(learned, static_cast<double>(at.limit),
              {{"upstream", at.upstream}, {"meter", at.meter}, {"source", at.source}});
  }
  if (!levels.learned.empty()) families.push_back(std::move(learned));
  for (const ProcessFigure& figure : process_figures()) {
    families.push_back(figure.counter ? count(figure.name, figure.help, figure.value)
                                      : level(figure.name, figure.help, figure.value));
  }
  clean_labels(families);
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return out.str();
}

}  // namespace weir::observe
