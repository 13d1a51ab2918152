#include "app/count_input.hpp"

#include <optional>
#include <utility>
#include <variant>

#include "protocol/json_scan.hpp"

namespace weir::app {
namespace {

using protocol::Api;
using protocol::RequestView;

bool is_list_of_ids(std::string_view value) {
  const std::size_t first = value.find_first_not_of("[ \t\r\n");
  return value.starts_with('[') && first != std::string_view::npos && value[first] >= '0' && value[first] <= '9';
}

// The family a body was written for, by its members; nullopt: it is no request.
std::optional<Api> api_of(std::string_view body, const RequestView& view) {
  if (view.find("messages") != nullptr) {
    const bool anthropic = view.find("system") != nullptr || view.find("anthropic_version") != nullptr ||
                           view.find("stop_sequences") != nullptr || view.model.starts_with("claude-");
    return anthropic ? Api::messages : Api::chat;
  }
  if (view.find("prompt") != nullptr) return Api::completions;
  const protocol::Member* const input = view.find("input");
  if (input == nullptr) return std::nullopt;
  const bool embeds = view.model.find("embed") != std::string::npos || view.find("encoding_format") != nullptr ||
                      view.find("dimensions") != nullptr;
  const std::string_view value = body.substr(input->value.begin, input->value.end - input->value.begin);
  return embeds || is_list_of_ids(value) ? Api::embeddings : Api::responses;
}

RequestView lone_text() {
  RequestView view;
  view.api = Api::chat;
  return view;
}

}  // namespace

CountInput read_count_input(std::string_view body) {
  CountInput input;
  input.view = lone_text();
  if (!protocol::json::trim(body).starts_with('{')) return input;
  protocol::RequestReader reader;
  auto first = reader.read(body, Api::other, {});
  if (const auto* const error = std::get_if<protocol::BodyError>(&first)) {
    const bool looks_like_one = body.find("\"messages\"") != body.npos || body.find("\"input\"") != body.npos ||
                                body.find("\"prompt\"") != body.npos || body.find("\"model\"") != body.npos;
    if (looks_like_one) {
      input.fault = "the request body is not valid at byte " + std::to_string(error->offset) + ": " + error->reason;
    } else {
      input.note = "not a JSON document; counted as a text";
    }
    return input;
  }
  const auto api = api_of(body, std::get<RequestView>(first));
  if (!api) {
    input.note = "JSON without messages, input or prompt; counted as a text";
    return input;
  }
  auto second = reader.read(body, *api, {});
  if (const auto* const error = std::get_if<protocol::BodyError>(&second)) {
    input.fault = (error->field.empty() ? "" : error->field + ": ") + error->reason;
    return input;
  }
  input.kind = CountInput::Kind::body;
  input.view = std::get<RequestView>(std::move(second));
  return input;
}

}  // namespace weir::app
