#include "proxy/parameter_rules.hpp"

#include <iterator>

namespace weir::proxy {
namespace {

using protocol::HideUsage;

// What of a stream's usage its caller does not ask for, weir asks for on its own and hides.
void add_usage(std::string_view body, const protocol::RequestView& view, const Upstream& upstream, AskUsage ask,
               PreparedBody& prepared) {
  if (!upstream.asks_usage || ask == AskUsage::nothing) return;
  const std::string_view running = ask == AskUsage::running ? std::string_view(upstream.running_usage) : "";
  auto splices = protocol::ask_for_usage(body, view, running);
  if (splices.empty()) return;
  prepared.splices.insert(prepared.splices.end(), std::make_move_iterator(splices.begin()),
                          std::make_move_iterator(splices.end()));
  const bool adds_running = !running.empty() && !view.asks_running_usage;
  prepared.added = adds_running ? AskUsage::running : AskUsage::total;
  prepared.hide = view.asks_usage ? HideUsage::running : view.asks_running_usage ? HideUsage::total : HideUsage::all;
}

// Whether weir may not ask either: it adds nothing that the rule takes away or refuses, nor to a body that is no
// longer one of a stream.
bool keeps_from_asking(const ParameterRule& rule) {
  const bool dropped = rule.action == ParameterAction::drop;
  if (rule.name == "stream") return dropped;
  return rule.name == "stream_options" && (dropped || rule.action == ParameterAction::reject);
}

}  // namespace

std::variant<PreparedBody, Refusal> prepare_body(std::string_view body, const protocol::RequestView& view,
                                                 const Destination& destination, AskUsage ask) {
  PreparedBody prepared;
  const std::string_view model = destination.model.empty() ? std::string_view(view.model) : destination.model;
  bool may_ask = true;
  if (destination.profile) {
    if (destination.profile->text_only && view.has_non_text_input) return text_only(model);
    std::vector<std::string_view> dropped;
    for (const ParameterRule& rule : destination.profile->parameters) {
      if (keeps_from_asking(rule)) may_ask = false;
      if (!view.find(rule.name)) continue;
      switch (rule.action) {
        case ParameterAction::forward:
          break;
        case ParameterAction::ignore:
          prepared.ignored += (prepared.ignored.empty() ? "" : ", ") + rule.name;
          break;
        case ParameterAction::drop:
          dropped.push_back(rule.name);
          break;
        case ParameterAction::reject:
          return unsupported_parameter(rule.name, model);
      }
    }
    if (!dropped.empty()) prepared.splices = protocol::drop_members(body, view, dropped);
  }
  if (!destination.model.empty() && destination.model != view.model) {
    prepared.splices.push_back(protocol::replace_model(view, destination.model));
  }
  if (may_ask) add_usage(body, view, *destination.upstream, ask, prepared);
  return prepared;
}

}  // namespace weir::proxy
