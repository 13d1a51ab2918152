#include "protocol/token_estimator.hpp"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "protocol/estimate_corrections.hpp"
#include "protocol/media_tokens.hpp"
#include "protocol/model_family.hpp"
#include "protocol/prompt_parts.hpp"
#include "protocol/token_sum.hpp"

namespace weir::protocol {
namespace {

using Prior = EstimateCorrections::Prior;

// Models of which something is learned. Each costs 3 KiB; a deployment that uses more forgets the idlest.
constexpr std::size_t models_max = 256;
constexpr std::size_t model_name_max = 256;

// Longer texts are read in blocks: so many of so many bytes, spread evenly. Each is read from so many bytes before it,
// which are not counted: a word that was begun there would cost as much as a whole one.
constexpr std::size_t sampled_above = 64 * 1024;
constexpr std::size_t block_bytes = 96, block_count = 352, lead_bytes = 16;

// --- Which bytes are read --------------------------------------------------------------------------------------------

// How much text there is.
class Measure final : public PromptVisitor {
 public:
  void text(std::string_view inside, TextUse) override { bytes += inside.size(); }
  void json(std::string_view raw, TextUse) override { bytes += raw.size(); }
  void media(const MediaPart&) override {}
  std::size_t bytes = 0;
};

// Without the rest of a character that began before.
std::string_view from_character(std::string_view stretch) {
  std::size_t skip = 0;
  while (skip < 3 && skip < stretch.size() && (static_cast<unsigned char>(stretch[skip]) & 0xC0U) == 0x80U) ++skip;
  return stretch.substr(skip);
}

// The stretches of a long text that are read. They lie at odd places within their share of it, so that a text with a
// rhythm of its own is not met at the same beat each time.
class Sampling {
 public:
  explicit Sampling(std::size_t total) : period_(total > sampled_above ? total / block_count : 0) {}

  bool all() const { return period_ == 0; }
  double scale() const { return all() || read_ == 0 ? 1 : static_cast<double>(seen_) / static_cast<double>(read_); }

  // Calls read(stretch, lead) for what is to be read of the next piece of text.
  template <typename Read>
  void next(std::string_view piece, Read read) {
    if (all()) return read(piece, std::string_view());
    const std::size_t begin = seen_;
    seen_ += piece.size();
    for (std::size_t block = begin / period_; block * period_ < seen_; ++block) {
      const std::size_t from = std::max(block_begin(block), begin);
      const std::size_t to = std::min(block_begin(block) + block_bytes, seen_);
      if (from >= to) continue;
      read_ += to - from;
      const std::string_view stretch = from_character(piece.substr(from - begin, to - from));
      const std::size_t lead = from - begin - std::min(from - begin, lead_bytes);
      read(stretch, from_character(piece.substr(lead, static_cast<std::size_t>(stretch.data() - piece.data()) - lead)));
    }
  }

 private:
  std::size_t block_begin(std::size_t block) const {
    const std::size_t room = period_ - std::min(period_, block_bytes);
    return block * period_ + (room == 0 ? 0 : (block * 2654435761U) % room);
  }

  std::size_t period_ = 0;
  std::size_t seen_ = 0, read_ = 0;
};

class Reader final : public PromptVisitor {
 public:
  Reader(std::size_t total, std::string_view model, const TokenWeights& weights)
      : sampling_(total), model_(model), weights_(weights) {}

  void text(std::string_view inside, TextUse use) override {
    sampling_.next(inside, [&](std::string_view stretch, std::string_view lead) { sum(use).read_json(stretch, lead); });
  }
  void json(std::string_view raw, TextUse use) override {
    sampling_.next(raw, [&](std::string_view stretch, std::string_view lead) { sum(use).read_plain(stretch, lead); });
  }
  void media(const MediaPart& part) override {
    (part.kind == MediaPart::Kind::image ? image_tokens_ : other_tokens_) += media_tokens(part, image_rule_of(model_));
  }

  const TokenSum& text_sum() const { return text_; }
  const std::optional<TokenSum>& tools_sum() const { return tools_; }
  const Sampling& sampling() const { return sampling_; }
  std::uint64_t image_tokens_ = 0, other_tokens_ = 0;

 private:
  TokenSum& sum(TextUse use) {
    if (use == TextUse::text) return text_;
    if (!tools_) tools_.emplace(weights_);
    return *tools_;
  }

  Sampling sampling_;
  const std::string_view model_;
  const TokenWeights& weights_;
  TokenSum text_{weights_};
  std::optional<TokenSum> tools_;
};

// --- What a template adds --------------------------------------------------------------------------------------------

struct Framing {
  double per_message, per_prompt, per_tool, per_tool_list;
};

// OpenAI: providers.md §9.1 (the role is a token of the four). DeepSeek: one mark per message, one before all, one or
// two to start the answer. Qwen: ChatML. Of the others the usual; of tools what their templates say around them.
Framing framing_of(TokenizerFamily family, Api api) {
  if (api == Api::messages) return {4, 4, 4, 340};  // Anthropic's page on tools: 313 to 346 tokens
  switch (family) {
    case TokenizerFamily::o200k:
      return {4, 3, 7, 12};
    case TokenizerFamily::cl100k:
      return {4, 3, 10, 12};
    case TokenizerFamily::deepseek:
      return {1.3, 2.5, 10, 150};
    case TokenizerFamily::qwen:
      return {5, 3, 2, 110};
    case TokenizerFamily::generic:
      return {4, 3, 4, 80};
  }
  return {4, 3, 4, 80};
}

bool is_conversation(Api api) {
  return api == Api::chat || api == Api::responses || api == Api::messages;
}

double framing_tokens(const PromptCounts& counts, const Framing& framing, Api api) {
  if (!is_conversation(api)) return 0;
  constexpr double per_call = 6;
  return framing.per_message * static_cast<double>(counts.messages) + static_cast<double>(counts.names) +
         per_call * static_cast<double>(counts.tool_calls) + framing.per_prompt;
}

// OpenAI's rule: properties 3, each key 3, an enumeration -3, each of its items 3. Elsewhere tools are given as JSON.
double tool_tokens(const PromptCounts& counts, const Framing& framing, ToolText style) {
  if (counts.functions == 0) return 0;
  double tokens = framing.per_tool_list + framing.per_tool * static_cast<double>(counts.functions);
  if (style == ToolText::words) {
    tokens += 3 * static_cast<double>(counts.property_lists + counts.properties + counts.enum_items);
    tokens -= 3 * static_cast<double>(counts.enums);
  }
  return std::max(tokens, 0.0);
}

float& feature(TokenFeatures& features, TokenClass which) {
  return features[static_cast<std::size_t>(which)];
}

Prior prior_of(TokenizerFamily family) {
  return family == TokenizerFamily::generic ? Prior::unknown_family : Prior::known_family;
}

// What is known of a model at this moment.
struct Known {
  TokenizerFamily family = TokenizerFamily::generic;
  Factors factors = EstimateCorrections::neutral();
  double margin = 1, requested_margin = 1;
};

void apply(const Known& known, const TokenFeatures& text, const TokenFeatures& tools, double images,
           PromptEstimate& into) {
  const auto at = [](TokenClass which) { return static_cast<std::size_t>(which); };
  TokenFeatures all = tools;
  for (std::size_t i = 0; i < all.size(); ++i) all[i] += text[i];
  into.features = all;
  const double media = static_cast<double>(all[at(TokenClass::media)]);
  const double total = EstimateCorrections::expected(known.factors, all);
  TokenFeatures text_only = text;
  feature(text_only, TokenClass::framing) = feature(text_only, TokenClass::media) =
      feature(text_only, TokenClass::constant) = 0;
  into.text = rounded_tokens(EstimateCorrections::expected(known.factors, text_only));
  into.framing =
      rounded_tokens(known.factors[at(TokenClass::framing)] * static_cast<double>(all[at(TokenClass::framing)]));
  into.tools = rounded_tokens(EstimateCorrections::expected(known.factors, tools));
  into.images = rounded_tokens(known.factors[at(TokenClass::media)] * images);
  into.other =
      rounded_tokens(known.factors[at(TokenClass::media)] * (media - images) + known.factors[at(TokenClass::constant)]);
  into.input = rounded_tokens(total) + into.token_ids;
  const auto with = [&](double margin) {
    return std::max(into.input, rounded_tokens(total * margin + (total > 0 ? EstimateCorrections::slack_tokens : 0)) +
                                    into.token_ids);
  };
  into.upper = with(known.margin);
  into.on_arrival = with(known.requested_margin);
}

}  // namespace

struct TokenEstimator::Impl {
  struct Model {
    explicit Model(TokenizerFamily its_family) : family(its_family), corrections(prior_of(its_family)) {}
    TokenizerFamily family;
    EstimateCorrections corrections;
    double margin = 1, requested_margin = 1;  // of the corrections, looked up more often than they change
    std::uint64_t used = 0;
  };

  Known known(std::string_view model) {
    if (const auto learned = learned_of(model)) return *learned;
    Known result;
    result.family = family_of_model(model);
    result.margin = result.requested_margin =
        result.family == TokenizerFamily::generic ? unknown_family_margin : known_family_margin;
    return result;
  }

  std::optional<Known> learned_of(std::string_view model) {
    const std::lock_guard lock(mutex);
    const auto found = models.find(std::string(model.substr(0, model_name_max)));
    if (found == models.end()) return std::nullopt;
    const Model& learned = found->second;
    return Known{learned.family, learned.corrections.factors(), learned.margin, learned.requested_margin};
  }

  template <typename Learn>
  void teach(std::string_view model, Learn learn) {
    const std::string name(model.substr(0, model_name_max));
    const std::lock_guard lock(mutex);
    auto found = models.find(name);
    if (found == models.end()) {
      if (models.size() >= models_max) forget_idlest();
      found = models.try_emplace(name, family_of_model(name)).first;
    }
    found->second.used = ++uses;
    learn(found->second.corrections);
    found->second.margin = found->second.corrections.margin();
    found->second.requested_margin = found->second.corrections.requested_margin(found->second.margin);
  }

  void forget_idlest() {
    models.erase(std::min_element(models.begin(), models.end(),
                                  [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
  }

  const double known_family_margin = untaught_margin(Prior::known_family);
  const double unknown_family_margin = untaught_margin(Prior::unknown_family);
  std::mutex mutex;  // held for a look-up or a few hundred multiplications, never while a text is read
  std::unordered_map<std::string, Model> models;
  std::uint64_t uses = 0;
};

TokenEstimator::TokenEstimator() : impl_(std::make_unique<Impl>()) {}
TokenEstimator::~TokenEstimator() = default;

PromptEstimate TokenEstimator::estimate(std::string_view body, const RequestView& view, std::string_view model) const {
  const Known known = impl_->known(model);
  const TokenizerFamily family = known.family;
  const bool rule_for_tools = family == TokenizerFamily::o200k || family == TokenizerFamily::cl100k;
  const ToolText style = rule_for_tools ? ToolText::words : ToolText::json;

  std::size_t text_bytes = 0;
  if (body.size() > sampled_above) {
    Measure measure;
    visit_prompt(body, view, style, measure);
    text_bytes = measure.bytes;
  }
  Reader reader(text_bytes, model, weights_of(family));
  const PromptCounts counts = visit_prompt(body, view, style, reader);

  const double scale = reader.sampling().scale();
  const Framing framing = framing_of(family, view.api);
  TokenFeatures text{}, tools{};
  reader.text_sum().add_to(text, scale);
  if (reader.tools_sum()) reader.tools_sum()->add_to(tools, scale);
  feature(text, TokenClass::framing) = static_cast<float>(framing_tokens(counts, framing, view.api));
  feature(tools, TokenClass::tools) = static_cast<float>(tool_tokens(counts, framing, style));
  const double image_tokens = static_cast<double>(reader.image_tokens_);
  feature(text, TokenClass::media) = static_cast<float>(image_tokens + static_cast<double>(reader.other_tokens_));
  feature(text, TokenClass::constant) = is_conversation(view.api) ? 1 : 0;

  PromptEstimate result;
  result.token_ids = counts.token_ids;
  result.sampled = !reader.sampling().all();
  apply(known, text, tools, image_tokens, result);
  return result;
}

PromptEstimate TokenEstimator::estimate_text(std::string_view utf8, std::string_view model) const {
  const Known known = impl_->known(model);
  Reader reader(utf8.size(), model, weights_of(known.family));
  reader.json(utf8, TextUse::text);
  TokenFeatures text{};
  reader.text_sum().add_to(text, reader.sampling().scale());
  PromptEstimate result;
  result.sampled = !reader.sampling().all();
  apply(known, text, {}, 0, result);
  return result;
}

void TokenEstimator::learn(std::string_view model, const PromptEstimate& estimate, std::uint64_t actual_input) {
  if (actual_input <= estimate.token_ids) return;  // nothing but ids, or a report that says nothing
  const auto actual = static_cast<double>(actual_input - estimate.token_ids);
  impl_->teach(model, [&](EstimateCorrections& corrections) { corrections.learn(estimate.features, actual); });
}

void TokenEstimator::learn_requested(std::string_view model, const PromptEstimate& estimate,
                                     std::uint64_t requested_input) {
  if (requested_input <= estimate.token_ids) return;
  const auto requested = static_cast<double>(requested_input - estimate.token_ids);
  impl_->teach(model,
               [&](EstimateCorrections& corrections) { corrections.learn_requested(estimate.features, requested); });
}

double TokenEstimator::margin(std::string_view model) const {
  return impl_->known(model).margin;
}

}  // namespace weir::protocol
