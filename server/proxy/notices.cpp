#include "proxy/notices.hpp"

#include "proxy/queue_answers.hpp"
#include "proxy/upstream_answers.hpp"
#include "proxy/why.hpp"

namespace weir::proxy {
namespace {

bool lately(net::Instant then, net::Instant now) {
  return then != net::Instant::min() && now - then < Notices::told_again_after;
}

std::string without_full_stop(std::string sentence) {
  if (sentence.ends_with('.')) sentence.pop_back();
  return sentence;
}

}  // namespace

Notices::Trouble Notices::trouble_of(const std::optional<AccountHealth::State>& state, net::Instant now) {
  if (!state) return Trouble::none;
  if (state->refuses_key) return Trouble::refuses_key;
  if (now < state->no_money_until) return Trouble::without_money;
  if (now < state->failing_until) return Trouble::fails;
  const bool long_pause = state->rests_until > now && state->rests_until - now >= worth_telling;
  return state->refusals > 0 && long_pause ? Trouble::turns_away : Trouble::none;
}

void Notices::look_at(const std::string& account, const AccountHealth& health, net::Instant now,
                      std::vector<Notice>& news) {
  const auto state = health.state(account);
  Told& told = accounts_[account];
  if (!state) {
    if (!told.over) news.push_back({false, "upstream " + account + " is ready again"});
    told.over = true;
    return;
  }
  const Trouble trouble = trouble_of(state, now);
  if (trouble == Trouble::none || (trouble <= told.trouble && lately(told.at, now))) return;
  told = {trouble, now, false};
  news.push_back(
      {trouble != Trouble::turns_away, "upstream " + without_full_stop(state_in_words(account, state, now))});
}

void Notices::look_at(AdmissionGate& gate, net::Instant now, std::vector<Notice>& news) {
  gate.quietly([&](admission::Scheduler& scheduler) {
    const std::size_t queued = scheduler.queued();
    if (queued == 0) {
      if (!queue_.over) news.push_back({false, "no call waits any more"});
      queue_.over = true;
      return;
    }
    if (lately(queue_.at, now)) return;
    const auto first = scheduler.waiting(now, 1);
    if (first.empty() || now - first.front().arrived < worth_telling) return;
    const std::string whose{gate.owner_of(first.front().ticket).shown};
    std::string text = queued == 1 ? "a call waits" : std::to_string(queued) + " calls wait; the first";
    if (!whose.empty()) text += queued == 1 ? " (of '" + whose + "')" : " of them, of '" + whose + "',";
    text += queued == 1 ? ": it " : " ";
    news.push_back({false, text + why_waiting(why_of(scheduler, first.front(), now))});
    queue_ = {Trouble::none, now, false};
  });
}

std::vector<Notice> Notices::look(const Settings& settings, const AccountHealth& health, AdmissionGate& gate,
                                  net::Instant now) {
  std::vector<Notice> news;
  for (const Upstream& upstream : settings.upstreams) look_at(upstream.name, health, now, news);
  look_at(gate, now, news);
  return news;
}

}  // namespace weir::proxy
