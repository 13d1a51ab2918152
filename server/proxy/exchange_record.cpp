// Of an exchange: what is known of it at its end, for its record, its budgets and for those who learn from it.
#include <array>

#include "protocol/requested_figure.hpp"
#include "proxy/authenticate.hpp"
#include "proxy/batch_service.hpp"
#include "proxy/cause.hpp"
#include "proxy/cost.hpp"
#include "proxy/exchange_steps.hpp"
#include "proxy/loggable_words.hpp"

namespace weir::proxy {

using net::Clock;

void Exchange::note_try(int status, std::string_view cause, bool unanswered) {
  record_.tries.push_back({destination_.upstream->name, status, std::string(cause), unanswered});
}

// What the upstream said of its trouble.
void Exchange::note_words(const protocol::UpstreamError& error, Cause cause, int status) {
  record_.cause = name_of(cause);
  const net::Field* brought = provider_credential(head_);
  const std::array<std::string_view, 3> secrets{credential_of(head_), brought ? secret_in(*brought) : "",
                                                destination_.upstream->api_key};
  record_.detail = loggable_words(error, cause, status, secrets);
}

// An error that came after contents, or that the caller was told as it came: its stream did not end well.
void Exchange::note_error_event(const Relay& relay, const net::ResponseHead& answer_head) {
  const protocol::UpstreamError error = protocol::read_error_body(relay.filter().error_event());
  const Diagnosis diagnosis =
      diagnose(200, answer_head, error, destination_.upstream->error_rules, std::chrono::system_clock::now());
  note_words(error, diagnosis.cause, answer_head.status);
}

void Exchange::note_relayed(Relay& relay) {
  if (const auto usage = relay.usage()) {
    record_.input_tokens = usage->input;
    record_.cached_tokens = usage->cached;
    record_.output_tokens = usage->output;
    record_.reasoning_tokens = usage->reasoning;
    note_cost(*usage);
  }
  if (relay.first_content_at()) {
    record_.first_content =
        std::chrono::duration_cast<std::chrono::microseconds>(*relay.first_content_at() - session_.head_read_at());
  }
  record_.content_gaps = relay.take_content_gaps();
  record_.events += relay.filter().events();
  record_.keepalives_absorbed += relay.filter().keepalives_absorbed();
  if (!relay.issued_id().empty()) session_.context().shared.issued.remember(relay.issued_id(), record_.upstream);
}

void Exchange::note_cost(const protocol::Usage& usage) {
  const std::vector<Price>& prices = prices_of(destination_);
  if (prices.empty()) return;
  const auto now = std::chrono::system_clock::now();
  const auto cost = cost_of(prices, usage, iso_time(now));
  if (!cost) return;
  // Batches wait for hours when nobody is in a hurry: they have prices of their own.
  const double factor = destination_.batch ? 1 : peak_factor(destination_.upstream->peak, now);
  record_.cost = cost->amount * factor;
  record_.currency = cost->currency;
}

void Exchange::note_cut(std::uint64_t input, std::uint64_t contents) {
  if (contents == 0) return;
  record_.cut_input_tokens = input;
  record_.cut_output_tokens = contents;
  protocol::Usage usage;
  usage.input = input;
  usage.output = contents;
  note_cost(usage);
}

// The budgets get what was really used, as far as anybody knows.
void Exchange::settle(const Relay& relay, int status) {
  admission::Usage used;
  if (status >= 400) {
    // Turned away: no tokens. A failure of the upstream's own has read its input.
    const bool refused = status < 500 || status == 503 || status == 529;
    used.known = !refused;
    used.input = turn_.input();
    return turn_.settle(used, refused ? admission::Ending::refused : admission::Ending::complete);
  }
  const auto reported = relay.usage();
  if (reported && (reported->input || reported->output)) {
    used.known = true;
    used.input = reported->input ? admission::tokens_of(*reported->input) : turn_.input();
    used.cached = admission::tokens_of(reported->cached.value_or(0));
    // The last word of a stream that was cut off may be an old one: each content is a token at least.
    const std::uint64_t contents = relay.filter().contents();
    const std::uint64_t output = reported->output.value_or(contents);
    used.output = admission::tokens_of(relay.complete() ? output : std::max(output, contents));
    learn(*reported, relay.complete());
  } else if (!relay.complete()) {
    // Cut off or left: what was produced is charged.
    used.known = true;
    used.input = turn_.input();
    used.output = admission::tokens_of(relay.filter().contents());
    note_cut(static_cast<std::uint64_t>(used.input), relay.filter().contents());
  }
  turn_.settle(used, relay.complete() ? admission::Ending::complete : admission::Ending::cut_off);
}

void Exchange::learn(const protocol::Usage& usage, bool complete) {
  if (usage.output && complete) {
    session_.context().shared.outputs.learn(client_.identity, tokenizer_model(destination_), *usage.output,
                                            turn_.told());
  }
  if (usage.input && *usage.input > 0) {
    session_.context().shared.estimator.learn(tokenizer_model(destination_), estimate_, *usage.input);
  }
}

// The one place where a provider shows its own estimate.
void Exchange::learn_requested(const protocol::UpstreamError& error) {
  const auto figure = protocol::read_requested_figure(error.message);
  if (!figure || !figure->of_tokens) return;
  const ChargePlan plan = plan_of(destination_);
  if (const auto input = input_of_requested(plan, view_, figure->requested))
    session_.context().shared.estimator.learn_requested(tokenizer_model(destination_), estimate_, *input);
}

void Exchange::note_outcome(const MaybeRefusal& refusal) {
  if (refusal) {
    // An upstream's may be any text.
    record_.error = loggable_word(refusal->code);
    if (record_.error.empty()) record_.error = unnamed_error;
    if (record_.detail.empty()) record_.detail = refusal->message;
    if (!downstream_.committed()) {
      record_.status = refusal->status;
    } else if (record_.status == 0) {
      record_.status = 200;  // of the head that went out with a heartbeat
    }
    record_.outcome = session_.insisted() ? "shutdown" : record_.attempts > 0 ? "upstream_failed" : "refused";
  } else if (record_.outcome.empty()) {
    record_.outcome = session_.insisted() ? "shutdown" : "client_left";
    if (record_.status == 0) record_.status = 499;  // nginx's number for it; never sent
  }
}

void Exchange::log() {
  if (record_.outcome == "probe") return;
  record_.bytes_out = downstream_.bytes_sent();
  if (body_) record_.bytes_in = body_->bytes_read();
  record_.duration = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - session_.head_read_at());
  session_.context().shared.note(record_);
}

}  // namespace weir::proxy
