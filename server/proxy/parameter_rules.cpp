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

}  // namespace

std::variant<PreparedBody, Refusal> prepare_body(std::string_view body, const protocol::RequestView& view,
                                                 const Destination& destination, AskUsage ask) {
  PreparedBody prepared;
  const std::string_view model = destination.model.empty() ? std::string_view(view.model) : destination.model;
  bool usage_dropped = false;
  if (destination.profile) {
    if (destination.profile->text_only && view.has_non_text_input) return text_only(model);
    std::vector<std::string_view> dropped;
    for (const ParameterRule& rule : destination.profile->parameters) {
      if (!view.find(rule.name)) continue;
      switch (rule.action) {
        case ParameterAction::forward:
          break;
        case ParameterAction::ignore:
          prepared.ignored += (prepared.ignored.empty() ? "" : ", ") + rule.name;
          break;
        case ParameterAction::drop:
          dropped.push_back(rule.name);
          usage_dropped |= rule.name == "stream_options";
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
  if (!usage_dropped) add_usage(body, view, *destination.upstream, ask, prepared);
  return prepared;
}

}  // namespace weir::proxy
