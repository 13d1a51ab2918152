#include "simulator/tool_call.hpp"

#include <string_view>

#include "protocol/error_body.hpp"
#include "simulator/text.hpp"

namespace weir::simulator {
namespace {

namespace dom = simdjson::dom;

constexpr int nesting_max = 8;  // a schema may refer to itself in words we do not follow, but objects nest

std::string_view text_of(dom::element object, std::string_view name) {
  std::string_view text;
  if (object.at_key(name).get(text) != simdjson::SUCCESS) return {};
  return text;
}

std::string example_object(dom::element schema, int depth);

// A value that fits the schema roughly: a provider's model would do no better.
std::string example_value(dom::element schema, int depth) {
  dom::array choices;
  if (schema.at_key("enum").get(choices) == simdjson::SUCCESS && choices.size() > 0) {
    return simdjson::minify(choices.at(0).value_unsafe());
  }
  std::string_view type = text_of(schema, "type");
  dom::array types;
  if (schema.at_key("type").get(types) == simdjson::SUCCESS && types.size() > 0) {
    if (types.at(0).get(type) != simdjson::SUCCESS) type = {};
  }
  if (type == "integer" || type == "number") return "1";
  if (type == "boolean") return "true";
  if (type == "array") return "[]";
  if (type == "null") return "null";
  if (type == "object") return depth < nesting_max ? example_object(schema, depth + 1) : "{}";
  return R"("Paris")";
}

std::string example_object(dom::element schema, int depth) {
  dom::object properties;
  std::string out = "{";
  if (schema.at_key("properties").get(properties) == simdjson::SUCCESS) {
    for (const auto [name, property] : properties) {
      put(out, out.size() > 1 ? "," : "", protocol::json_quote(name), ":", example_value(property, depth));
    }
  }
  return out + "}";
}

// The definition: inside `function` for chat, the tool itself for responses and messages.
dom::element definition_of(dom::element tool) {
  dom::element inner;
  return tool.at_key("function").get(inner) == simdjson::SUCCESS ? inner : tool;
}

}  // namespace

std::optional<ToolCall> choose_tool(dom::element tools, std::optional<dom::element> choice, bool wished) {
  dom::array list;
  if (tools.get(list) != simdjson::SUCCESS) return std::nullopt;
  std::string_view wanted;  // a name
  if (choice) {
    std::string_view word;
    if (choice->get(word) != simdjson::SUCCESS) word = text_of(*choice, "type");
    if (word == "none") return std::nullopt;
    if (choice->is_object()) wanted = text_of(definition_of(*choice), "name");
    wished = wished || word == "required" || word == "any" || !wanted.empty();
  }
  if (!wished) return std::nullopt;
  for (const dom::element tool : list) {
    if (!tool.is_object()) continue;
    const dom::element definition = definition_of(tool);
    const std::string_view name = text_of(definition, "name");
    if (name.empty() || (!wanted.empty() && name != wanted)) continue;
    for (const std::string_view key : {"parameters", "input_schema"}) {
      dom::element schema;
      if (definition.at_key(key).get(schema) == simdjson::SUCCESS)
        return ToolCall{std::string(name), example_object(schema, 0)};
    }
    return ToolCall{std::string(name), "{}"};
  }
  return std::nullopt;
}

}  // namespace weir::simulator
