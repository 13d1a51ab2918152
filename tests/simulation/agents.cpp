#include "simulation/agents.hpp"

#include <utility>

namespace weir::simulation {

void Agents::add(Agent agent) {
  const std::size_t index = states_.size();
  State& state = states_.emplace_back();
  state.agent = std::move(agent);
  loop_.after(state.agent.begins_after, [this, index] { begin(index); });
}

void Agents::think(std::size_t index) {
  loop_.after(exponential(states_[index].agent.think, rng_), [this, index] { begin(index); });
}

void Agents::begin(std::size_t index) {
  State& state = states_[index];
  if (stopped_ || state.agent.calls == 0) return;
  if (state.agent.calls > 0) --state.agent.calls;
  state.call = state.agent.make(rng_);
  state.first_try = loop_.now();
  state.tries = 0;
  ++counts_.calls;
  ++busy_;
  try_once(index);
  if (chance(state.agent.leaves, rng_)) {
    loop_.after(exponential(state.agent.leaves_after, rng_), [this, index, turn = state.turn] {
      if (states_[index].turn == turn) leave(index);
    });
  }
}

void Agents::try_once(std::size_t index) {
  State& state = states_[index];
  ++state.tries;
  ++counts_.tries;
  state.on_its_way = true;
  const std::uint64_t tag = (std::uint64_t{state.turn} << 32) | index;
  state.at = path_.call(state.call, state.first_try, *this, tag);
}

void Agents::leave(std::size_t index) {
  State& state = states_[index];
  ++counts_.left;
  if (state.on_its_way) path_.leave(state.at);
  over(index);
}

void Agents::over(std::size_t index) {
  State& state = states_[index];
  ++state.turn;
  state.on_its_way = false;
  --busy_;
  think(index);
}

void Agents::outcome(std::uint64_t tag, const Outcome& outcome) {
  const std::size_t index = tag & 0xffffffffu;
  State& state = states_[index];
  if (state.turn != tag >> 32) return;
  state.on_its_way = false;
  if (outcome.kind == Outcome::Kind::answered) {
    ++counts_.answered;
    last_answer_ = loop_.now();
    if (state.first_try >= measured_from_) waits_.push_back(outcome.sent_at - state.first_try);
    if (loop_.now() >= measured_from_) {
      if (tokens_by_key_.size() <= state.call.key) tokens_by_key_.resize(state.call.key + 1);
      tokens_by_key_[state.call.key] += static_cast<std::uint64_t>(outcome.used);
    }
    return over(index);
  }
  if (outcome.kind == Outcome::Kind::refused) ++counts_.refused;
  if (outcome.by_provider) ++counts_.refused_by_provider;
  const bool too_many = outcome.kind == Outcome::Kind::refused;
  auto again = next_try(state.agent.sdk, {state.tries, too_many, outcome.hint}, rng_);
  if (!again) {
    ++counts_.failed;
    if (!state.agent.persists) return over(index);
    state.tries = 0;
    again = persists_after;
  }
  loop_.after(*again, [this, index, turn = state.turn] {
    if (states_[index].turn == turn) try_once(index);
  });
}

}  // namespace weir::simulation
