// Any bytes as a configuration and as a provider file: nothing crashes, a problem has a place, a good configuration can
// be described, and no secret shows in what is said about either.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "app/check.hpp"
#include "app/config_source.hpp"
#include "app/provider_profile.hpp"

namespace {

using namespace weir::app;

constexpr std::string_view secret = "5ecret+:/\"4711";

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

void require_kept(const std::string& said) {
  require(said.find("5ecret") == std::string::npos, "no secret is quoted");
}

void require_places(const Problems& problems) {
  for (const Problem& problem : problems) {
    require(!problem.message.empty(), "a problem says what it is");
    require(!problem.place.source.empty(), "a problem says where it is");
    require(problem.place.line >= 0 && problem.place.column >= 0, "a place is a place");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const bool holds_secret =
      text.find("5ecret") != std::string::npos;  // in the file itself: names and keys may be quoted

  Environment environment;
  environment.variable = [](const std::string& name) -> std::optional<std::string> {
    if (name == "X" || name == "ARK_API_KEY") return std::string(secret);
    return std::nullopt;
  };
  environment.read_file = [&](const std::string& path) -> std::optional<std::string> {
    if (path == "weir.yaml") return text;
    if (path == "/secret") return std::string(secret) + "\n";
    return std::nullopt;
  };
  Overrides overrides;
  overrides.config = "weir.yaml";
  const auto result = ConfigSource(overrides, environment).load();
  if (const auto* problems = std::get_if<Problems>(&result)) {
    require(!problems->empty(), "a refusal has a reason");
    require_places(*problems);
    if (!holds_secret) require_kept(to_string(*problems));
  } else {
    const Loaded& loaded = std::get<Loaded>(result);
    require(loaded.settings != nullptr && !loaded.settings->upstreams.empty(), "what is accepted has an upstream");
    for (const auto& route : loaded.settings->routes) {
      for (const auto& target : route.targets)
        require(target.upstream < loaded.settings->upstreams.size(), "a route leads somewhere");
    }
    describe(loaded);
    start_summary(loaded);
  }

  Problems problems;
  read_provider(text, "provider.yaml", environment, problems);
  require_places(problems);
  return 0;
}
