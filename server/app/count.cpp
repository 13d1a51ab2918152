#include "app/count.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <utility>
#include <variant>

#include "app/count_input.hpp"
#include "app/shipped_providers.hpp"
#include "protocol/json_scan.hpp"
#include "protocol/model_family.hpp"
#include "protocol/token_estimator.hpp"
#include "proxy/charge.hpp"
#include "proxy/cost.hpp"

namespace weir::app {
namespace {

using protocol::Api;
using protocol::RequestView;

constexpr int unusable = 2;

const char* noun_of(Api api) {
  switch (api) {
    case Api::chat:
      return "chat request";
    case Api::completions:
      return "completions request";
    case Api::embeddings:
      return "embeddings request";
    case Api::responses:
      return "responses request";
    case Api::messages:
      return "messages request";
    case Api::models:
    case Api::other:
      break;
  }
  return "request";
}

// --- Where it would go -----------------------------------------------------------------------------------------------

struct Destination {
  proxy::Upstream upstream;
  std::optional<proxy::ModelProfile> profile;
  std::string base;   // the model that decides the tokenizer
  std::string title;  // "upstream ark-1", "provider deepseek, as shipped"
  std::string fault;
};

const proxy::ModelProfile* profile_named(const proxy::Upstream& upstream, std::string_view model) {
  for (const proxy::ModelProfile& profile : upstream.models) {
    if (proxy::matches_pattern(profile.name, model)) return &profile;
  }
  return nullptr;
}

void take_profile(Destination& destination, const proxy::ModelProfile* profile, const std::string& model) {
  destination.base = model;
  if (profile == nullptr) return;
  destination.profile = *profile;
  if (!profile->base_model.empty()) destination.base = profile->base_model;
}

Destination destination_in(const Loaded& loaded, const std::string& model) {
  Destination destination;
  for (const proxy::ModelRoute& route : loaded.settings->routes) {
    if (!proxy::matches_pattern(route.pattern, model) || route.targets.empty()) continue;
    const proxy::Target& target = route.targets.front();
    destination.upstream = loaded.settings->upstreams[target.upstream];
    const std::string& sent = target.model.empty() ? model : target.model;
    take_profile(destination, profile_named(destination.upstream, sent), sent);
    destination.title = "upstream " + destination.upstream.name + (sent == model ? "" : ", as " + sent);
    return destination;
  }
  destination.fault = "the configuration has no upstream for the model '" + model + "'";
  return destination;
}

// The shipped provider that knows the model best: by its exact name, else by the pattern that says most.
Destination destination_shipped(const std::string& model) {
  std::shared_ptr<const ProviderProfile> provider = shipped_provider("generic");
  const ProviderModel* best = nullptr;
  std::size_t best_score = 1;  // a pattern "*" knows nothing
  for (const auto& candidate : shipped_providers()) {
    const ProviderModel* const known = candidate->find_model(model);
    if (known == nullptr) continue;
    const std::size_t score = known->profile.name == model ? std::string::npos : known->profile.name.size();
    if (score <= best_score) continue;
    best_score = score;
    best = known;
    provider = candidate;
  }
  Destination destination;
  destination.upstream.provider = provider->name;
  destination.upstream.charge = provider->charge;
  destination.upstream.output_caps = provider->output_caps;
  take_profile(destination, best == nullptr ? nullptr : &best->profile, model);
  destination.title = best == nullptr ? "no provider known" : "provider " + provider->name + ", as shipped";
  return destination;
}

// A configuration that somebody named is used, and has to be good.
std::variant<Destination, Problems> find_destination(const CountRequest& request, const std::string& model,
                                                     const Environment& environment) {
  const auto variable = environment.variable("WEIR_CONFIG");
  if (!request.config && (!variable || variable->empty())) return destination_shipped(model);
  Overrides overrides;
  overrides.config = request.config;
  auto loaded = ConfigSource(overrides, environment).load();
  if (auto* const problems = std::get_if<Problems>(&loaded)) return std::move(*problems);
  if (model.empty()) return destination_shipped(model);
  return destination_in(std::get<Loaded>(loaded), model);
}

// --- What is printed -------------------------------------------------------------------------------------------------

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

void line(std::ostream& out, std::string_view name, std::string_view value) {
  constexpr std::size_t width = 12;
  out << name << std::string(width - std::min(width - 1, name.size()), ' ') << value << '\n';
}

void print_input(std::ostream& out, const protocol::PromptEstimate& estimate) {
  line(out, "input",
       grouped(estimate.input) + " tokens; " + grouped(estimate.upper) + " at most, with a probability of 99 %");
  const std::pair<const char*, std::uint64_t> parts[] = {
      {"  text", estimate.text},     {"  framing", estimate.framing}, {"  tools", estimate.tools},
      {"  images", estimate.images}, {"  other", estimate.other},     {"  token ids", estimate.token_ids}};
  for (const auto& [name, tokens] : parts) {
    if (tokens != 0) line(out, name, grouped(tokens));
  }
  if (estimate.sampled) line(out, "", "(a long text: read in blocks)");
}

void print_output(std::ostream& out, const proxy::ChargePlan& plan, const RequestView& view) {
  const std::uint64_t choices = std::max(view.n, view.best_of);
  const std::string all = choices > 1 ? ", all " + grouped(choices) + " choices together" : "";
  if (!plan.output_cap) return line(out, "output", "no bound known: neither a cap in the request nor the model's own");
  if (*plan.output_cap == 0) return line(out, "output", "none");
  line(out, "output", grouped(*plan.output_cap) + " tokens at most" + all);
}

void print_charge(std::ostream& out, const proxy::ChargePlan& plan) {
  const std::string on_arrival = grouped(plan.fixed_on_arrival) + " tokens on arrival";
  const std::string cached = plan.cached_free ? "; cached input is free" : "";
  switch (plan.rule) {
    case proxy::ChargeRule::max_or_estimate:
      return line(out, "charge", on_arrival + ": the larger of cap and input");
    case proxy::ChargeRule::estimate_plus_max:
      return line(out, "charge", on_arrival + ": input and cap together");
    case proxy::ChargeRule::input_then_output:
      return line(out, "charge", on_arrival + ", then the output as it is produced" + cached);
    case proxy::ChargeRule::actual:
      return line(out, "charge", "what was used, when the answer is complete" + cached);
    case proxy::ChargeRule::none:
      return line(out, "charge", "no tokens are counted here; a request counts as one in flight at most");
  }
}

std::string money(double amount, const std::string& currency) {
  std::ostringstream out;
  out.setf(std::ios::fixed);
  out.precision(amount < 0.1 ? 6 : 4);
  out << amount << ' ' << currency;
  return out.str();
}

void print_prices(std::ostream& out, const Destination& destination, const protocol::PromptEstimate& estimate,
                  const proxy::ChargePlan& plan, std::string_view now) {
  constexpr double per_tokens = 1e6;
  bool any = false;
  if (destination.profile) {
    for (const proxy::Price& price : destination.profile->prices) {
      if (price.since > now || (!price.until.empty() && price.until <= now)) continue;
      std::string text =
          money(static_cast<double>(estimate.input) * price.input / per_tokens, price.currency) + " for the input";
      if (plan.output_cap && *plan.output_cap > 0) {
        text += ", " + money(static_cast<double>(*plan.output_cap) * price.output / per_tokens, price.currency) +
                " for the longest answer";
      }
      line(out, any ? "" : "price", text);
      any = true;
    }
  }
  if (any) {
    line(out, "", "(dearer peak hours and cheaper cached input are not in it)");
  } else {
    line(out, "price", "not known");
  }
}

std::string printed(const Destination& destination, const std::string& model, const CountInput& input,
                    std::string_view text, std::string_view now) {
  const protocol::TokenEstimator estimator;
  const protocol::PromptEstimate estimate = input.kind == CountInput::Kind::body
                                                ? estimator.estimate(text, input.view, destination.base)
                                                : estimator.estimate_text(text, destination.base);
  const proxy::InputTokens tokens{estimate.input, estimate.upper, estimate.on_arrival};
  const proxy::ModelProfile* const profile = destination.profile ? &*destination.profile : nullptr;
  const proxy::ChargePlan plan = proxy::plan_charge(input.view, tokens, destination.upstream, profile);
  std::ostringstream out;
  line(out, "model",
       (model.empty() ? "none named" : model) + " (" + destination.title + "; tokenizer family " +
           std::string(name_of(protocol::family_of_model(destination.base))) + ")");
  line(out, "counted",
       (input.kind == CountInput::Kind::body ? std::string(noun_of(input.view.api)) : "text") + ", " +
           grouped(text.size()) + " bytes");
  print_input(out, estimate);
  print_output(out, plan, input.view);
  print_charge(out, plan);
  print_prices(out, destination, estimate, plan, now);
  out << "This is an estimate: the provider's own count decides.\n";
  return out.str();
}

CountResult failed(std::string why) {
  return {unusable, "", "weir count: " + std::move(why) + "\n"};
}

}  // namespace

CountResult count_tokens(const CountRequest& request, std::string_view input, const Environment& environment,
                         std::string_view now) {
  if (protocol::json::trim(input).empty()) return failed("there is nothing to count");
  std::string padded(input);
  padded.append(protocol::RequestReader::padding, ' ');
  const std::string_view text(padded.data(), input.size());
  const CountInput read = read_count_input(text);
  if (!read.fault.empty()) return failed(read.fault);
  const std::string model = request.model.value_or(read.view.model);
  auto found = find_destination(request, model, environment);
  if (const auto* const problems = std::get_if<Problems>(&found)) return {unusable, "", to_string(*problems) + "\n"};
  const Destination& destination = std::get<Destination>(found);
  if (!destination.fault.empty()) return failed(destination.fault);
  CountResult result;
  result.out = printed(destination, model, read, text, now);
  if (!read.note.empty()) result.err += "weir count: " + read.note + "\n";
  if (model.empty())
    result.err += "weir count: no model is named; the mean of the known tokenizers is taken (see --model)\n";
  return result;
}

int run_count(const CountRequest& request) {
  std::string input;
  if (request.file == "-") {
    input.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    errno = 0;
    std::ifstream file(request.file, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();  // a folder opens, and fails to be read
    if (!file.is_open() || errno != 0) {
      std::cerr << "weir count: " << request.file << ": " << std::strerror(errno) << '\n';
      return unusable;
    }
    input = std::move(text).str();
  }
  const CountResult result =
      count_tokens(request, input, process_environment(), proxy::iso_time(std::chrono::system_clock::now()));
  std::cout << result.out;
  std::cerr << result.err;
  return result.status;
}

}  // namespace weir::app
