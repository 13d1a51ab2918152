// A provider as data: where its API families live, how it wants to be called, what it limits, charges, ignores and
// rejects, and what its errors mean. Read from config/providers/*.yaml (compiled in) or from a deployment's own file.
// Values only: resolve_settings combines them with an account's settings. Knows no account and no secret.
//
// Read and kept for later parts of the server: keep_alive.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.hpp"
#include "app/environment.hpp"
#include "app/problem.hpp"
#include "proxy/settings.hpp"

namespace weir::app {

using proxy::Cause;
using proxy::Charge;
using proxy::ChargeRule;
using proxy::ErrorRule;
using proxy::OutputCap;

struct ProviderModel {
  proxy::ModelProfile profile;  // its limits are those of `limits` below
  LimitsConfig limits;
  bool listed = true;  // in GET /v1/models when the upstream is not asked
};

// Hours at which every price is multiplied.
struct ProviderProfile {
  std::string name;
  std::string title;
  std::string base_url;               // empty: an account must say one
  std::vector<std::string> hosts;     // patterns by which --upstream is recognised
  std::string api_key_env;            // the variable its own SDK reads; empty: none
  bool used_when_key_is_set = false;  // with nothing configured at all, that variable is enough
  proxy::AuthStyle auth = proxy::AuthStyle::bearer;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string query;
  std::array<proxy::FamilyPath, 7> families;  // by protocol::Api
  std::vector<std::string> native_prefixes;
  bool asks_usage = true;
  std::string running_usage;
  bool queue_headers = false;
  bool model_in_path = false;
  UpstreamTimeoutsConfig timeouts;
  LimitsConfig limits;
  std::map<std::string, LimitsConfig> tiers;
  std::optional<BatchConfig> batch;  // calls that it counts apart
  Charge charge;
  std::vector<OutputCap> output_caps;
  std::string keep_alive_stream, keep_alive_json;  // "comment", "ping", "blank-lines", "none"
  proxy::LimitHeaders limit_headers = proxy::LimitHeaders::none;
  std::vector<ErrorRule> errors;      // tried before those of the generic provider
  std::vector<ProviderModel> models;  // first match wins
  std::optional<proxy::PeakHours> peak;

  // The entry for a model id (the exact name before patterns, else the first pattern that matches); nullptr: none.
  const ProviderModel* find_model(std::string_view id) const;
};

ProviderProfile read_provider(std::string_view text, const std::string& file, const Environment& environment,
                              Problems& problems);

// The families of a provider below the base URL of an account. `base_path` is the path of that URL, "" when it has
// none: then the provider's own prefixes hold. Otherwise it replaces the prefix of the main families, as a value for
// OPENAI_BASE_URL does; families that live elsewhere keep their place beside it.
std::array<proxy::FamilyPath, 7> families_below(const ProviderProfile& provider, const std::string& base_path);

// Every key the reader of provider files knows, as "models[].text_only"; sorted.
std::vector<std::string> known_provider_keys();

}  // namespace weir::app
