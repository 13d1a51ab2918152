#include "app/config_support.hpp"

#include "proxy/choose_upstream.hpp"

namespace weir::app {

Environment World::environment() const {
  const auto find = [](const std::map<std::string, std::string>& map,
                       const std::string& key) -> std::optional<std::string> {
    const auto found = map.find(key);
    if (found == map.end()) return std::nullopt;
    return found->second;
  };
  std::vector<std::string> names;
  for (const auto& variable : variables) names.push_back(variable.first);
  return {[find, all = variables](const std::string& name) { return find(all, name); },
          [find, all = files](const std::string& path) { return find(all, path); }, names};
}

World with_config(std::string yaml, std::map<std::string, std::string> variables) {
  World world{std::move(variables), {}};
  world.variables["WEIR_CONFIG"] = config_path;
  world.files[config_path] = std::move(yaml);
  return world;
}

Reading read(std::string_view yaml, const World& world) {
  Problems problems;
  Reading reading;
  reading.config = read_config(yaml, "weir.yaml", world.environment(), problems);
  reading.problems = to_string(problems);
  return reading;
}

Config config_of(std::string_view yaml, const World& world) {
  Reading reading = read(yaml, world);
  if (!reading.problems.empty()) throw std::runtime_error(reading.problems);
  return std::move(reading.config);
}

Loaded load(const World& world, const Overrides& overrides) {
  auto result = ConfigSource(overrides, world.environment()).load();
  if (const auto* problems = std::get_if<Problems>(&result)) throw std::runtime_error(to_string(*problems));
  return std::move(std::get<Loaded>(result));
}

std::string refusal(const World& world, const Overrides& overrides) {
  const auto result = ConfigSource(overrides, world.environment()).load();
  const auto* problems = std::get_if<Problems>(&result);
  return problems ? to_string(*problems) : "accepted";
}

const proxy::Upstream& first_upstream(const Loaded& loaded) {
  return loaded.settings->upstreams.at(0);
}

const proxy::ModelProfile& profile(const proxy::Upstream& upstream, std::string_view model) {
  const proxy::ModelProfile* found = proxy::profile_of(upstream, model);
  if (!found) throw std::runtime_error("no profile for " + std::string(model));
  return *found;
}

std::string routes_of(const Loaded& loaded) {
  std::string text;
  for (const auto& route : loaded.settings->routes) {
    text += route.pattern + " ->";
    for (const auto& target : route.targets) {
      text += (&target == &route.targets.front() ? " " : ", ") + loaded.settings->upstreams.at(target.upstream).name;
      if (!target.model.empty()) text += " as " + target.model;
      if (target.weight != 1) text += " x" + std::to_string(target.weight);
    }
    text += "\n";
  }
  return text;
}

}  // namespace weir::app
