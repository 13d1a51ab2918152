#include "app/section.hpp"

#include <algorithm>

#include "app/interpolate.hpp"
#include "app/units.hpp"

namespace weir::app {
namespace {

std::string kind_in_words(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::null:
      return "nothing";
    case YamlNode::Kind::scalar:
      return "a single value";
    case YamlNode::Kind::list:
      return "a list";
    case YamlNode::Kind::map:
      return "a map";
  }
  return "?";
}

std::string join_path(const std::string& path, std::string_view key) {
  if (path.empty()) return std::string(key);
  if (key.empty()) return path;
  return path + "." + std::string(key);
}

constexpr const char* where_limits_stand =
    "; limits of an account stand in upstreams[].limits, those of callers in keys[].limits and teams.*.limits, "
    "and such as have a name in tiers.*";

// In the configuration, and not with whom it limits. A file's `limits` are those of its own connections and bodies.
bool is_misplaced_limit(std::string_view path, const std::vector<std::string>& known) {
  constexpr std::string_view limits = "limits.";
  if (path.starts_with(limits)) {
    path.remove_prefix(limits.size());
  } else if (std::find(known.begin(), known.end(), "upstreams") == known.end()) {
    return false;
  }
  constexpr std::string_view meters[] = {"rpm", "rpd", "tpm", "tpd", "input_tpm", "output_tpm", "concurrency"};
  return std::find(std::begin(meters), std::end(meters), path) != std::end(meters);
}

}  // namespace

Section::Section(ReadContext& context, const YamlNode* node, std::string path, std::string shape)
    : context_(context), node_(node), path_(std::move(path)), shape_(std::move(shape)) {
  if (node_ == nullptr) return;
  place_ = node_->key.empty() ? node_->place : node_->key_place;
  if (node_->kind == YamlNode::Kind::map) return;
  if (node_->kind != YamlNode::Kind::null) {
    context_.problems.push_back({node_->place, join_path(path_, "") + (path_.empty() ? "" : ": ") +
                                                   "expected a map of settings, found " + kind_in_words(*node_)});
  }
  node_ = nullptr;
}

std::string Section::path_of(std::string_view key) const {
  return join_path(path_, key);
}

bool Section::has(std::string_view key) const {
  if (node_ == nullptr) return false;
  return std::any_of(node_->children.begin(), node_->children.end(),
                     [&](const auto& child) { return child.key == key; });
}

void Section::finish() {
  if (node_ == nullptr) return;
  for (const auto& child : node_->children) {
    if (std::find(known_.begin(), known_.end(), child.key) != known_.end()) continue;
    std::string text = path_of(child.key);
    const bool misplaced = is_misplaced_limit(text, known_);
    text += ": unknown key";
    text += misplaced ? where_limits_stand : suggestion(child.key, known_);
    context_.problems.push_back({child.key_place, std::move(text)});
  }
}

void Section::problem(std::string_view key, const std::string& message) {
  Place place = place_;
  if (node_ != nullptr && !key.empty()) {
    for (const auto& child : node_->children) {
      if (child.key == key) place = child.place;
    }
  }
  const std::string path = path_of(key);
  context_.problems.push_back({place, path.empty() ? message : path + ": " + message});
}

void Section::problem_of(const Name& value, std::string_view key, const std::string& message,
                         std::string_view expected) {
  const std::string path = path_of(key) + ": ";
  context_.problems.push_back(
      {value.place,
       path + (value.interpolated ? "expected " + std::string(expected) + ", found " + shown(value) : message)});
}

void Section::require(std::string_view key) {
  // What is no map at all has been reported as that.
  if (context_.known != nullptr || node_ == nullptr || has(key)) return;
  problem("", "'" + std::string(key) + "' is missing");
}

const YamlNode* Section::take(std::string_view key) {
  known_.emplace_back(key);
  if (context_.known != nullptr) context_.known->insert(join_path(shape_, key));
  if (node_ == nullptr) return nullptr;
  for (const auto& child : node_->children) {
    if (child.key == key) return &child;
  }
  return nullptr;
}

std::optional<Scalar> Section::read_scalar(const YamlNode& node, const std::string& path, std::string_view expected,
                                           bool is_secret) {
  if (node.kind != YamlNode::Kind::scalar) {
    std::string message = path + ": expected " + std::string(expected) + ", found " + kind_in_words(node);
    if (node.kind == YamlNode::Kind::null) message += "; leave the key out for the default";
    context_.problems.push_back({node.place, message});
    return std::nullopt;
  }
  Interpolated value = interpolate(node.text, context_.environment);
  if (!value.error.empty()) {
    context_.problems.push_back({node.place, path + ": " + value.error});
    return std::nullopt;
  }
  Scalar scalar{std::move(value.text), {}, node.place, value.changed};
  const std::string written = node.text.size() > 80 ? node.text.substr(0, 80) + "..." : node.text;
  scalar.shown = is_secret ? "the value" : value.changed ? "the value of '" + written + "'" : "'" + written + "'";
  return scalar;
}

std::optional<Scalar> Section::scalar(std::string_view key, std::string_view expected) {
  const YamlNode* node = take(key);
  if (node == nullptr) return std::nullopt;
  return read_scalar(*node, path_of(key), expected, false);
}

std::optional<Scalar> Section::secret_scalar(std::string_view key) {
  const YamlNode* node = take(key);
  if (node == nullptr) return std::nullopt;
  return read_scalar(*node, path_of(key), "a secret, best as \"${VARIABLE}\" or \"${file:/path}\"", true);
}

void Section::text(std::string_view key, std::string& into) {
  if (auto value = scalar(key, "a text")) into = std::move(value->text);
}

void Section::secret(std::string_view key, std::string& into) {
  auto value = secret_scalar(key);
  if (!value) return;
  if (const std::string fault = secret_fault(value->text); !fault.empty()) {
    context_.problems.push_back({value->place, path_of(key) + ": " + fault});
    return;
  }
  into = std::move(value->text);
}

void Section::name(std::string_view key, std::optional<Name>& into) {
  if (auto value = scalar(key, "a name")) into = Name{std::move(value->text), value->place, value->interpolated};
}

void Section::names(std::string_view key, std::vector<Name>& into) {
  const YamlNode* node = take(key);
  if (node == nullptr || node->kind == YamlNode::Kind::null) return;
  into.clear();
  if (node->kind == YamlNode::Kind::scalar) {  // one word stands for a list of one
    if (auto value = read_scalar(*node, path_of(key), "a name", false))
      into.push_back({value->text, value->place, value->interpolated});
    return;
  }
  if (node->kind != YamlNode::Kind::list) {
    context_.problems.push_back(
        {node->place, path_of(key) + ": expected a list of names, found " + kind_in_words(*node)});
    return;
  }
  for (std::size_t i = 0; i < node->children.size(); ++i) {
    const std::string path = path_of(key) + "[" + std::to_string(i) + "]";
    if (auto value = read_scalar(node->children[i], path, "a name", false)) {
      if (value->text.empty()) context_.problems.push_back({value->place, path + ": is empty"});
      into.push_back({value->text, value->place, value->interpolated});
    }
  }
}

void Section::texts(std::string_view key, std::vector<std::string>& into) {
  if (!has(key)) {
    take(key);
    return;
  }
  std::vector<Name> values;
  names(key, values);
  into.clear();
  for (auto& value : values) into.push_back(std::move(value.text));
}

void Section::flag(std::string_view key, bool& into) {
  const auto value = scalar(key, "true or false");
  if (!value) return;
  if (value->text == "true" || value->text == "on" || value->text == "yes")
    into = true;
  else if (value->text == "false" || value->text == "off" || value->text == "no")
    into = false;
  else
    context_.problems.push_back({value->place, path_of(key) + ": expected true or false, found " + value->shown});
}

void Section::limit(std::string_view key, std::optional<std::uint64_t>& into) {
  const auto value = scalar(key, "a number, or unlimited");
  if (!value) return;
  const auto number = value->text == "unlimited" ? unlimited : parse_count(value->text);
  if (!number || *number == 0) {
    context_.problems.push_back(
        {value->place, path_of(key) + ": expected a whole number from 1, or unlimited; found " + value->shown});
    return;
  }
  into = *number;
}

std::optional<std::uint64_t> Section::count_in(std::string_view key, std::uint64_t min, std::uint64_t max) {
  const auto value = scalar(key, "a whole number");
  if (!value) return std::nullopt;
  const auto number = parse_count(value->text);
  if (!number || *number < min || *number > max) {
    context_.problems.push_back({value->place, path_of(key) + ": expected a whole number from " + std::to_string(min) +
                                                   " to " + std::to_string(max) + ", found " + value->shown});
    return std::nullopt;
  }
  return number;
}

void Section::fraction(std::string_view key, double& into, double min, double max) {
  const auto value = scalar(key, "a number");
  if (!value) return;
  const auto number = parse_fraction(value->text);
  if (!number || *number < min || *number > max) {
    context_.problems.push_back({value->place, path_of(key) + ": expected a number from " + format_fraction(min) +
                                                   " to " + format_fraction(max) + ", found " + value->shown});
    return;
  }
  into = *number;
}

void Section::duration(std::string_view key, Duration& into, const DurationRange& range) {
  std::optional<Duration> value;
  duration(key, value, range);
  if (value) into = *value;
}

void Section::duration(std::string_view key, std::optional<Duration>& into, const DurationRange& range) {
  const auto value = scalar(key, "a duration such as 15s, 4m or 250ms");
  if (!value) return;
  if (value->text == "unlimited" && range.may_be_unlimited) {
    into = unlimited_duration;
    return;
  }
  const auto parsed = parse_duration(value->text);
  const std::string path = path_of(key);
  if (!parsed) {
    const std::string hint =
        parse_count(value->text) ? "; say the unit: " + value->text + "s or " + value->text + "ms" : "";
    context_.problems.push_back({value->place, path + ": expected a duration such as 15s, 4m or 250ms, found " +
                                                   value->shown + (value->shown.starts_with("'") ? hint : "")});
  } else if (*parsed < range.min || *parsed > range.max) {
    const std::string least = format_duration(range.min);
    const std::string most = range.max >= unlimited_duration ? "" : " to " + format_duration(range.max);
    context_.problems.push_back({value->place, path + ": expected a duration from " + least + most + ", found " +
                                                   value->shown +
                                                   (range.may_be_unlimited ? " (for no limit write unlimited)" : "")});
  } else {
    into = *parsed;
  }
}

void Section::size(std::string_view key, std::size_t& into, std::size_t min, std::size_t max) {
  const auto value = scalar(key, "a size such as 64KiB or 256MiB");
  if (!value) return;
  const auto parsed = parse_size(value->text);
  if (!parsed) {
    context_.problems.push_back(
        {value->place, path_of(key) + ": expected a size such as 64KiB or 256MiB, found " + value->shown});
  } else if (*parsed < min || *parsed > max) {
    context_.problems.push_back({value->place, path_of(key) + ": expected a size from " + format_size(min) + " to " +
                                                   format_size(max) + ", found " + value->shown});
  } else {
    into = *parsed;
  }
}

std::optional<std::size_t> Section::word_in(std::string_view key, const Words& words) {
  const auto value = scalar(key, "a word");
  if (!value) return std::nullopt;
  const auto found = std::find(words.begin(), words.end(), value->text);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  std::string known;
  for (const auto& word : words) known += (known.empty() ? "" : ", ") + word;
  context_.problems.push_back({value->place, path_of(key) + ": expected one of " + known + "; found " + value->shown});
  return std::nullopt;
}

void Section::section(std::string_view key, const std::function<void(Section&)>& read) {
  Section child(context_, take(key), path_of(key), join_path(shape_, key));
  read(child);
  child.finish();
}

const YamlNode* Section::take_list(std::string_view key, std::size_t items_max) {
  const YamlNode* node = take(key);
  if (node == nullptr || node->kind == YamlNode::Kind::null) return nullptr;
  if (node->children.size() > items_max) {
    context_.problems.push_back({node->place, path_of(key) + ": more than " + std::to_string(items_max) + " entries"});
    return nullptr;
  }
  return node;
}

void Section::list(std::string_view key, const std::function<void(Section&)>& read, std::string_view word_key,
                   std::size_t items_max) {
  const YamlNode* node = take_list(key, items_max);
  const std::string shape = join_path(shape_, key) + "[]";
  if (context_.known != nullptr) {
    Section phantom(context_, nullptr, shape, shape);
    read(phantom);
  }
  if (node == nullptr) return;
  // One word stands for a list of one where a list of words is usual.
  std::vector<const YamlNode*> items;
  if (node->kind == YamlNode::Kind::scalar && !word_key.empty())
    items.push_back(node);
  else if (node->kind == YamlNode::Kind::list)
    for (const auto& child : node->children) items.push_back(&child);
  else {
    context_.problems.push_back({node->place, path_of(key) + ": expected a list, found " + kind_in_words(*node)});
    return;
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string path = path_of(key) + "[" + std::to_string(i) + "]";
    YamlNode wrapped;
    const YamlNode* item = items[i];
    if (item->kind == YamlNode::Kind::scalar && !word_key.empty()) {
      wrapped.kind = YamlNode::Kind::map;
      wrapped.place = item->place;
      YamlNode word = *item;
      word.key = word_key;
      word.key_place = item->place;
      wrapped.children.push_back(std::move(word));
      item = &wrapped;
    } else if (item->kind == YamlNode::Kind::null) {
      context_.problems.push_back({item->place, path + ": is empty"});
      continue;
    }
    Section child(context_, item, path, shape);
    read(child);
    child.finish();
  }
}

void Section::entries(std::string_view key, const std::function<void(const std::string&, Section&)>& read,
                      std::size_t items_max) {
  const YamlNode* node = take_list(key, items_max);
  const std::string shape = join_path(shape_, key) + ".*";
  if (context_.known != nullptr) {
    Section phantom(context_, nullptr, shape, shape);
    read("*", phantom);
  }
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::map) {
    context_.problems.push_back(
        {node->place, path_of(key) + ": expected a map of names to settings, found " + kind_in_words(*node)});
    return;
  }
  for (const auto& item : node->children) {
    Section child(context_, &item, path_of(key) + "." + item.key, shape);
    read(item.key, child);
    child.finish();
  }
}

void Section::each_word(std::string_view shape_key, const std::function<void(const std::string&)>& read) {
  if (context_.known != nullptr) context_.known->insert(join_path(shape_, shape_key));
  if (node_ == nullptr) return;
  for (const auto& child : node_->children) read(child.key);
}

void Section::pairs(std::string_view key, std::vector<std::pair<std::string, std::string>>& into) {
  const YamlNode* node = take_list(key, 1000);
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::map) {
    context_.problems.push_back(
        {node->place, path_of(key) + ": expected a map of words to words, found " + kind_in_words(*node)});
    return;
  }
  for (const auto& child : node->children) {
    if (auto value = read_scalar(child, path_of(key) + "." + child.key, "a text", false)) {
      into.emplace_back(child.key, std::move(value->text));
    }
  }
}

std::vector<std::string> keys_read_by(const std::function<void(Section&)>& read) {
  const Environment nothing{[](const std::string&) { return std::nullopt; },
                            [](const std::string&) { return std::nullopt; }};
  Problems ignored;
  std::set<std::string> known;
  ReadContext context{nothing, ignored, &known};
  Section file(context, nullptr, "", "");
  read(file);
  return {known.begin(), known.end()};
}

}  // namespace weir::app
