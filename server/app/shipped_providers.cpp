#include "app/shipped_providers.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

#include "app/embedded_files.hpp"
#include "app/yaml_tree.hpp"

namespace weir::app {
namespace {

using ProviderPtr = std::shared_ptr<const ProviderProfile>;

ProviderPtr read_shipped(std::string_view name) {
  const Environment nothing{[](const std::string&) { return std::nullopt; },
                            [](const std::string&) { return std::nullopt; }};
  Problems problems;
  auto provider = read_provider(embedded_provider(name), std::string(name) + ".yaml", nothing, problems);
  if (!problems.empty()) throw std::logic_error("shipped provider file: " + to_string(problems));
  return std::make_shared<const ProviderProfile>(std::move(provider));
}

// What stands behind `hosts:`, which in the files of the project is one line.
std::vector<std::string> hosts_in(std::string_view text) {
  constexpr std::string_view key = "\nhosts:";
  const auto begin = text.find(key);
  if (begin == std::string_view::npos) return {};
  const std::string_view line = text.substr(begin + 1, text.find('\n', begin + 1) - begin - 1);
  Problems ignored;
  const YamlNode tree = parse_yaml(line, "hosts", ignored);
  std::vector<std::string> hosts;
  for (const YamlNode& value : tree.children) {
    for (const YamlNode& host : value.children) hosts.push_back(host.text);
  }
  return hosts;
}

}  // namespace

ProviderPtr shipped_provider(std::string_view name) {
  if (embedded_provider(name).empty()) return nullptr;
  static std::mutex mutex;
  static std::map<std::string, ProviderPtr, std::less<>> read;
  const std::lock_guard lock(mutex);
  const auto found = read.find(name);
  if (found != read.end()) return found->second;
  return read.emplace(name, read_shipped(name)).first->second;
}

ProviderPtr provider_of_host(std::string_view host) {
  for (const std::string_view name : embedded_provider_names()) {
    for (const std::string& pattern : hosts_in(embedded_provider(name))) {
      if (proxy::matches_pattern(pattern, host)) return shipped_provider(name);
    }
  }
  return nullptr;
}

const std::vector<ProviderPtr>& shipped_providers() {
  static const std::vector<ProviderPtr> all = [] {
    std::vector<ProviderPtr> read;
    for (const std::string_view name : embedded_provider_names()) read.push_back(shipped_provider(name));
    return read;
  }();
  return all;
}

}  // namespace weir::app
