#include "proxy/route.hpp"

#include <array>
#include <utility>

namespace weir::proxy {
namespace {

using protocol::Api;

// Where clients find the API. The first prefix that fits is taken off; native ones are remembered, since a provider that
// has them gets the path as it came.
struct Prefix {
  std::string_view text;
  std::string_view native;
};
constexpr std::array<Prefix, 8> prefixes{{{"/v1", ""},
                                          {"/anthropic/v1", "/anthropic"},
                                          {"/anthropic", "/anthropic"},
                                          {"/beta/v1", "/beta"},
                                          {"/beta", "/beta"},
                                          {"/api/v3", "/api/v3"},
                                          {"/api/coding/v3", "/api/coding"},
                                          {"/api/coding", "/api/coding"}}};

// Bare paths, and paths that are a provider's own without a prefix.
constexpr std::array<std::string_view, 16> bare_roots{"chat",   "completions", "embeddings", "responses", "messages",   "models",
                                                      "files",  "batches",     "audio",      "images",    "moderations", "uploads",
                                                      "fine_tuning", "vector_stores", "user", "rerank"};

constexpr std::array<std::pair<std::string_view, Api>, 5> families{{{"/chat/completions", Api::chat},
                                                                    {"/completions", Api::completions},
                                                                    {"/embeddings", Api::embeddings},
                                                                    {"/responses", Api::responses},
                                                                    {"/messages", Api::messages}}};

bool under(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

std::string_view first_segment(std::string_view path) {
  path.remove_prefix(1);
  return path.substr(0, path.find('/'));
}

bool has_bare_root(std::string_view path) {
  const std::string_view root = first_segment(path);
  for (const std::string_view known : bare_roots) {
    if (root == known) return true;
  }
  return false;
}

}  // namespace

Route find_route(std::string_view method, std::string_view target) {
  Route route;
  const auto question = target.find('?');
  route.full_path = target.substr(0, question);
  if (question != std::string_view::npos) route.query = target.substr(question + 1);
  if (route.full_path == "/healthz" || route.full_path == "/readyz") {
    route.kind = route.full_path == "/healthz" ? Route::Kind::healthz : Route::Kind::readyz;
    return route;
  }
  if (under(route.full_path, "/v1/weir")) {
    route.kind = Route::Kind::own;
    return route;
  }
  route.path = route.full_path;
  bool known = false;
  for (const Prefix& prefix : prefixes) {
    if (!under(route.full_path, prefix.text)) continue;
    route.native_prefix = prefix.native;
    route.path.remove_prefix(prefix.text.size());
    known = true;
    break;
  }
  if (route.path.size() < 2) return route;
  if (!known && !has_bare_root(route.path)) return route;
  route.kind = Route::Kind::forward;
  if (route.path == "/models" && method == "GET") {
    route.api = Api::models;
    route.canonical = true;
    return route;
  }
  if (method != "POST") return route;
  for (const auto& [path, api] : families) {
    if (route.path == path) {
      route.api = api;
      route.canonical = true;
      return route;
    }
  }
  // Ark: /bots/…, /context/…, /batch/chat/completions and /batch/embeddings have the family's body on a path of their own.
  if (route.path.ends_with("/chat/completions")) route.api = Api::chat;
  if (route.path == "/batch/embeddings") route.api = Api::embeddings;
  return route;
}

std::string_view object_id(std::string_view path) {
  if (path.size() < 2) return {};
  std::string_view rest = path.substr(1);
  const auto slash = rest.find('/');
  if (slash == std::string_view::npos) return {};
  rest.remove_prefix(slash + 1);
  return rest.substr(0, rest.find('/'));
}

}  // namespace weir::proxy
