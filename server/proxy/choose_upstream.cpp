#include "proxy/choose_upstream.hpp"

#include <algorithm>
#include <array>

namespace weir::proxy {
namespace {

// The accounts that have the path, of those the client may use.
std::vector<std::string> choices_of(const Snapshot& snapshot, const Client& client, const Route& route) {
  std::vector<std::string> names;
  for (const Upstream& upstream : snapshot.settings->upstreams) {
    if (may_use_upstream(client, upstream.name) && serves(upstream, route)) names.push_back(upstream.name);
  }
  return names;
}

bool may_use_any(const Snapshot& snapshot, const Client& client) {
  const auto& upstreams = snapshot.settings->upstreams;
  return std::any_of(upstreams.begin(), upstreams.end(),
                     [&](const Upstream& upstream) { return may_use_upstream(client, upstream.name); });
}

// Whether the path is the provider's own as it stands.
bool has_native(const Upstream& upstream, const Route& route) {
  const bool may_be = !route.native_prefix.empty() || route.path == route.full_path;
  return may_be && std::any_of(upstream.native_prefixes.begin(), upstream.native_prefixes.end(),
                               [&](const std::string& prefix) { return route.full_path.starts_with(prefix); });
}

// Where the provider has the path's family; nullptr: nowhere.
const FamilyPath* family_path(const Upstream& upstream, const Route& route) {
  const auto family = static_cast<std::size_t>(route.canonical ? route.api : protocol::Api::other);
  const FamilyPath& path = upstream.families[family];
  return path.served && !route.is_of_one_provider() ? &path : nullptr;
}

// A name that only a key without a list of models, or with "*" on it, may use.
constexpr std::string_view any_model = "*";

// Whether a POST there may set a model to work whose name weir does not read: images, audio, batches, whatever comes.
// Not: what is stored, and what is told to something that was made before.
bool names_a_model(std::string_view path) {
  constexpr std::array<std::string_view, 4> stores{"/files", "/uploads", "/vector_stores", "/conversations"};
  const bool stored = std::any_of(stores.begin(), stores.end(), [&](std::string_view root) {
    return path.starts_with(root) && (path.size() == root.size() || path[root.size()] == '/');
  });
  return !stored && !path.ends_with("/cancel");
}

Destination to(const Upstream& upstream, std::string_view model_to_send, std::string_view model_asked) {
  Destination destination;
  destination.upstream = &upstream;
  destination.model = model_to_send;
  // Without a model there is no profile, whatever patterns there are.
  const std::string_view model = model_to_send.empty() ? model_asked : model_to_send;
  if (!model.empty()) destination.profile = profile_of(upstream, model);
  return destination;
}

}  // namespace

const ModelProfile* profile_of(const Upstream& upstream, std::string_view model) {
  for (const ModelProfile& profile : upstream.models) {
    if (matches_pattern(profile.name, model)) return &profile;
  }
  return nullptr;
}

std::variant<Destinations, Refusal> choose_by_model(const Snapshot& snapshot, const Client& client,
                                                    std::string_view model, std::string_view wanted,
                                                    std::string_view issuer) {
  if (model.empty()) return missing_model();
  if (!may_use_model(client, model)) return refuse_model(model);
  const Settings& settings = *snapshot.settings;
  const auto route = std::find_if(settings.routes.begin(), settings.routes.end(), [&](const ModelRoute& candidate) {
    return matches_pattern(candidate.pattern, model);
  });
  if (route == settings.routes.end() || route->targets.empty()) return unknown_model(model);

  const std::string_view named = wanted.empty() ? issuer : wanted;
  if (!named.empty()) {
    for (const Target& target : route->targets) {
      const Upstream& upstream = settings.upstreams[target.upstream];
      if (upstream.name == named && may_use_upstream(client, named))
        return Destinations{to(upstream, target.model, model)};
    }
    if (!wanted.empty()) {
      std::vector<std::string> choices;
      for (const Target& target : route->targets) {
        const std::string& name = settings.upstreams[target.upstream].name;
        if (may_use_upstream(client, name)) choices.push_back(name);
      }
      return unknown_upstream(wanted, choices);
    }
  }
  Destinations destinations;
  for (const Target& target : route->targets) {
    const Upstream& upstream = settings.upstreams[target.upstream];
    if (!may_use_upstream(client, upstream.name)) continue;
    Destination& destination = destinations.emplace_back(to(upstream, target.model, model));
    destination.weight = target.weight;
    destination.order = target.order;
  }
  if (destinations.empty()) return unknown_model(model);
  return destinations;
}

std::variant<Destinations, Refusal> choose_without_model(const Snapshot& snapshot, const Client& client,
                                                         std::string_view method, const Route& route,
                                                         std::string_view wanted, const IssuedIds& issued) {
  const Settings& settings = *snapshot.settings;
  if (method == "POST" && names_a_model(route.path) && !may_use_model(client, any_model)) return refuse_unread_model();
  const auto usable = [&](std::string_view name) -> const Upstream* {
    const Upstream* upstream = snapshot.upstream_named(name);
    return upstream && may_use_upstream(client, name) ? upstream : nullptr;
  };
  if (!may_use_any(snapshot, client)) return no_upstream("No upstream is configured for this key.");
  const auto choices = choices_of(snapshot, client, route);
  if (choices.empty()) return path_not_served(route.full_path);
  if (!wanted.empty()) {
    if (const Upstream* upstream = usable(wanted)) return Destinations{to(*upstream, {}, {})};
    return unknown_upstream(wanted, choices);
  }
  // An id need not stand first: /fine_tuning/jobs/{id}, /vector_stores/{id}/files/{id}.
  for (std::string_view id = object_id(route.path); !id.empty(); id = next_segment(route.path, id)) {
    const auto issuer = issued.upstream_of(id);
    if (!issuer) continue;
    if (const Upstream* upstream = usable(*issuer)) return Destinations{to(*upstream, {}, {})};
  }
  // A provider's own path names its provider.
  if (!route.native_prefix.empty() || route.is_of_one_provider()) {
    for (const Upstream& upstream : settings.upstreams) {
      if (has_native(upstream, route) && may_use_upstream(client, upstream.name))
        return Destinations{to(upstream, {}, {})};
    }
  }
  if (client.key && !client.key->default_upstream.empty()) {
    if (const Upstream* upstream = usable(client.key->default_upstream)) return Destinations{to(*upstream, {}, {})};
  }
  if (choices.size() == 1) return Destinations{to(*snapshot.upstream_named(choices.front()), {}, {})};
  return choose_an_upstream(choices);
}

bool serves(const Upstream& upstream, const Route& route) {
  return has_native(upstream, route) || family_path(upstream, route);
}

std::string upstream_target(const Upstream& upstream, const Route& route) {
  std::string target;
  if (has_native(upstream, route)) {
    target = route.full_path;
  } else if (const FamilyPath* path = family_path(upstream, route)) {
    target = path->prefix;
    target += route.path;
  } else {
    return {};
  }
  if (!route.query.empty() || !upstream.query.empty()) {
    target += '?';
    target += route.query;
    if (!route.query.empty() && !upstream.query.empty()) target += '&';
    target += upstream.query;
  }
  return target;
}

}  // namespace weir::proxy
