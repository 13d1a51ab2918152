#include "proxy/parameter_rules.hpp"

#include <iterator>

namespace weir::proxy {

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
  const bool streams_usage = view.api == protocol::Api::chat || view.api == protocol::Api::completions;
  const bool understood = destination.upstream->asks_usage && !usage_dropped && ask == AskUsage::where_understood;
  if (streams_usage && view.stream && !view.asks_usage && understood) {
    auto splices = protocol::ask_for_usage(body, view);
    prepared.splices.insert(prepared.splices.end(), std::make_move_iterator(splices.begin()),
                            std::make_move_iterator(splices.end()));
    prepared.asks_usage = true;
  }
  return prepared;
}

}  // namespace weir::proxy
