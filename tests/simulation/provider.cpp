#include "simulation/provider.hpp"

#include <utility>

namespace weir::simulation {
namespace {

// After a call was turned away: those that were let through before it came back have arrived by then.
constexpr std::chrono::milliseconds word_gets_round{500};

simulator::Claim claim_of(const Call& call) {
  simulator::Claim claim;
  claim.input = static_cast<std::uint64_t>(call.input);
  claim.cap = static_cast<std::uint64_t>(call.cap > 0 ? call.cap : 0);
  claim.n = claim.best_of = static_cast<std::uint64_t>(call.choices);
  return claim;
}

}  // namespace

Provider::Provider(EventLoop& loop, ProviderSettings settings, std::uint64_t seed)
    : loop_(loop),
      settings_(std::move(settings)),
      limits_(settings_.options),
      books_(settings_.options.window),
      rng_(seed) {}

Provider::Id Provider::send(const Call& call, Listener& listener, std::uint64_t tag) {
  const Id id = ++last_id_;
  Answer& answer = answers_[id];
  answer.call = call;
  answer.listener = &listener;
  answer.tag = tag;
  loop_.after(way(), [this, id] { arrive(id); });
  return id;
}

void Provider::cancel(Id id) {
  const auto found = answers_.find(id);
  if (found == answers_.end()) return;
  found->second.listener = nullptr;
  loop_.after(way(), [this, id] {
    const auto there = answers_.find(id);
    if (there == answers_.end()) return;
    if (there->second.in_flight) return finish(id, {});
    answers_.erase(there);  // it overtook its own request
  });
}

void Provider::arrive(Id id) {
  const auto found = answers_.find(id);
  if (found == answers_.end()) return;
  Answer& answer = found->second;
  const Outage* trouble = outage();
  ++books_.arrived;
  if (trouble && trouble->kind == Outage::Kind::turns_away) {
    ++books_.turned_away;
    Instant first = first_turned_away_.try_emplace(trouble, loop_.now()).first->second;
    // "Too many at once" is believed once, where calls were served before: those who were held back come all together,
    // and what becomes of them is the first that tells of more.
    if (trouble->crowded && loop_.now() > first + word_gets_round)
      first = second_turned_away_.try_emplace(trouble, loop_.now()).first->second;
    if (trouble->share >= 1 && loop_.now() > first + word_gets_round) ++books_.knocks;
    tell(answer, {Reply::Kind::turned_away, 0, 0, std::nullopt, trouble->crowded});
    answers_.erase(found);
    return;
  }
  const simulator::Claim claim = claim_of(answer.call);
  simulator::Verdict verdict;
  if (settings_.concurrency_at && limits_.in_flight() >= settings_.concurrency_at(loop_.now())) {
    verdict.refusal = simulator::Verdict::Refusal::concurrency;
  } else {
    verdict = limits_.admit(claim, loop_.now());
  }
  if (verdict.refusal != simulator::Verdict::Refusal::none) {
    ++books_.refused;
    books_.last_refusal = verdict;
    books_.last_refused_at = loop_.now();
    const bool crowded = verdict.refusal == simulator::Verdict::Refusal::concurrency;
    tell(answer, {Reply::Kind::refused, 0, 0, settings_.hints ? verdict.wait : std::nullopt, crowded});
    answers_.erase(found);
    return;
  }
  answer.in_flight = true;
  books_.requests.add(1, loop_.now());
  books_.in_flight_largest = std::max(books_.in_flight_largest, limits_.in_flight());
  note_charge(limits_.charge_on_arrival(claim));
  if (trouble && trouble->kind == Outage::Kind::fails) {
    loop_.after(between(std::chrono::milliseconds(20), settings_.first_after + std::chrono::milliseconds(40), rng_),
                [this, id] { finish(id, {Reply::Kind::failed, 0, 0, std::nullopt}); });
    return;
  }
  if (trouble && answer.call.replies) {
    answer.breaks_at = chance(0.5, rng_) ? 0 : static_cast<Tokens>(uniform(rng_) * double(answer.call.output));
  }
  const double speed = settings_.tokens_per_second * (1 + settings_.speed_varies * (2 * uniform(rng_) - 1));
  answer.tokens_per_chunk = speed * std::chrono::duration<double>(settings_.chunk).count();
  const Duration until_first = answer.call.replies ? settings_.first_after : settings_.first_after / 4;
  loop_.after(until_first, [this, id] { go_on(id); });
}

void Provider::go_on(Id id) {
  const auto found = answers_.find(id);
  if (found == answers_.end() || !found->second.in_flight) return;
  Answer& answer = found->second;
  const Call& call = answer.call;
  if (answer.breaks_at >= 0 && answer.produced >= answer.breaks_at) return finish(id, {Reply::Kind::broke, 0, 0, {}});
  if (answer.produced < call.output) {
    // The first token comes alone.
    answer.exact = answer.produced == 0 ? 1 : answer.exact + answer.tokens_per_chunk;
    const Tokens until = std::clamp<Tokens>(static_cast<Tokens>(answer.exact), answer.produced + 1, call.output);
    const auto more = static_cast<std::uint64_t>(until - answer.produced);
    answer.produced = until;
    limits_.produce(more, loop_.now());
    if (limits_.charges_as_produced()) note_charge(more);
    if (until < call.output) tell(answer, {Reply::Kind::produced, call.input, until, std::nullopt});
  }
  if (answer.produced >= call.output) {
    const Tokens output = answer.produced;
    return finish(id, {Reply::Kind::ended, call.input, output, std::nullopt});
  }
  loop_.after(settings_.chunk, [this, id] { go_on(id); });
}

void Provider::finish(Id id, const Reply& reply) {
  const auto found = answers_.find(id);
  if (found == answers_.end()) return;
  const Answer& answer = found->second;
  const auto total = static_cast<std::uint64_t>(answer.call.input + answer.produced);
  limits_.finish(total, loop_.now());
  if (limits_.charges_at_end()) note_charge(total);
  tell(answer, reply);
  answers_.erase(found);
}

void Provider::tell(const Answer& answer, const Reply& reply) {
  if (!answer.listener) return;
  // Replies of one call come in order: only the way there varies.
  loop_.after(settings_.way, [listener = answer.listener, tag = answer.tag, reply] { listener->reply(tag, reply); });
}

void Provider::note_charge(std::uint64_t amount) {
  books_.charged.add(amount, loop_.now());
  if (loop_.now() >= books_.measured_from) books_.measured += amount;
}

const Outage* Provider::outage() {
  for (const Outage& each : settings_.outages) {
    if (loop_.now() >= each.begin && loop_.now() < each.end && chance(each.share, rng_)) return &each;
  }
  return nullptr;
}

Duration Provider::way() {
  return between(settings_.way, settings_.way + settings_.way_varies, rng_);
}

double Provider::share_used(Instant until) const {
  const double windows = static_cast<double>((until - books_.measured_from).count()) /
                         static_cast<double>(settings_.options.window.count());
  return static_cast<double>(books_.measured) / (static_cast<double>(settings_.options.tpm) * windows);
}

}  // namespace weir::simulation
