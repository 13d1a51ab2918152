#include "simulator/route.hpp"

#include <array>

#include "net/hex.hpp"

namespace weir::simulator {
namespace {

struct Fixed {
  std::string_view path;
  Route route;
};
constexpr std::array fixed_paths{
    Fixed{"/chat/completions", Route::chat},
    Fixed{"/bots/chat/completions", Route::chat},     // Ark
    Fixed{"/context/chat/completions", Route::chat},  // Ark
    Fixed{"/batch/chat/completions", Route::chat},    // Ark
    Fixed{"/batch/embeddings", Route::embeddings},    // Ark
    Fixed{"/completions", Route::completions},
    Fixed{"/embeddings", Route::embeddings},
    Fixed{"/responses", Route::responses},
    Fixed{"/messages", Route::messages},
    Fixed{"/messages/count_tokens", Route::count_tokens},
    Fixed{"/models", Route::models},
    Fixed{"/user/balance", Route::balance},
    Fixed{"/files", Route::files},
    Fixed{"/__stats", Route::stats},
    Fixed{"/__reset", Route::reset},
    Fixed{"/__last", Route::last},
    Fixed{"/__last/head", Route::last_head},
    Fixed{"/__last/body", Route::last_body},
};

// Longer ones first where one begins another.
constexpr std::array<std::string_view, 9> prefixes{
    "/anthropic/v1", "/anthropic", "/openai/v1", "/v1beta/openai", "/beta/v1", "/beta", "/api/v3", "/api/v1", "/v1"};

std::string_view without_prefix(std::string_view path) {
  for (const std::string_view prefix : prefixes) {
    if (path.starts_with(prefix) && path.size() > prefix.size() && path[prefix.size()] == '/')
      return path.substr(prefix.size());
  }
  // Azure: /openai/deployments/{name}/chat/completions
  constexpr std::string_view azure = "/openai/deployments/";
  if (path.starts_with(azure)) {
    const std::size_t slash = path.find('/', azure.size());
    if (slash != std::string_view::npos) return path.substr(slash);
  }
  return path;
}

}  // namespace

Target read_target(std::string_view target) {
  Target result;
  const std::size_t question = target.find('?');
  if (question != std::string_view::npos) result.query = target.substr(question + 1);
  const std::string_view path = without_prefix(target.substr(0, question));
  for (const Fixed& fixed : fixed_paths) {
    if (path != fixed.path) continue;
    result.route = fixed.route;
    return result;
  }
  const auto rest_after = [&](std::string_view start) {
    return path.starts_with(start) ? path.substr(start.size()) : std::string_view();
  };
  if (const auto id = rest_after("/models/"); !id.empty()) {
    result.route = Route::model;  // the id of a model may have slashes in it
    result.id = net::percent_decoded(id);
  } else if (const auto response = rest_after("/responses/"); !response.empty()) {
    if (response.find('/') != std::string_view::npos) return result;
    result.route = Route::response;
    result.id = net::percent_decoded(response);
  } else if (auto file = rest_after("/files/"); !file.empty()) {
    result.route = Route::file;
    if (file.ends_with("/content")) {
      result.route = Route::file_content;
      file.remove_suffix(8);
    }
    result.id = net::percent_decoded(file);
  }
  return result;
}

std::string_view path_of(Route route) {
  switch (route) {
    case Route::chat:
      return "/v1/chat/completions";
    case Route::completions:
      return "/v1/completions";
    case Route::embeddings:
      return "/v1/embeddings";
    case Route::responses:
      return "/v1/responses";
    case Route::response:
      return "/v1/responses/{id}";
    case Route::messages:
      return "/v1/messages";
    case Route::count_tokens:
      return "/v1/messages/count_tokens";
    case Route::models:
      return "/v1/models";
    case Route::model:
      return "/v1/models/{id}";
    case Route::balance:
      return "/user/balance";
    case Route::files:
      return "/v1/files";
    case Route::file:
      return "/v1/files/{id}";
    case Route::file_content:
      return "/v1/files/{id}/content";
    case Route::stats:
      return "/__stats";
    case Route::reset:
      return "/__reset";
    case Route::last:
      return "/__last";
    case Route::last_head:
      return "/__last/head";
    case Route::last_body:
      return "/__last/body";
    case Route::other:
      break;
  }
  return "other";
}

}  // namespace weir::simulator
