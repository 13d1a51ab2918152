#include "protocol/api.hpp"

#include <array>
#include <utility>

namespace weir::protocol {
namespace {

constexpr std::array<std::pair<Api, std::string_view>, 7> api_names{{
    {Api::chat, "chat"},
    {Api::completions, "completions"},
    {Api::embeddings, "embeddings"},
    {Api::responses, "responses"},
    {Api::messages, "messages"},
    {Api::models, "models"},
    {Api::other, "other"},
}};

}  // namespace

std::string_view name_of(Api api) {
  for (const auto& [value, name] : api_names) {
    if (value == api) return name;
  }
  return "other";
}

std::optional<Api> api_from_name(std::string_view name) {
  for (const auto& [value, known] : api_names) {
    if (known == name) return value;
  }
  return std::nullopt;
}

std::string_view operation_of(Api api) {
  switch (api) {
    case Api::chat:
    case Api::responses:
    case Api::messages:
      return "chat";
    case Api::completions:
      return "text_completion";
    case Api::embeddings:
      return "embeddings";
    case Api::models:
    case Api::other:
      return {};
  }
  return {};
}

}  // namespace weir::protocol
