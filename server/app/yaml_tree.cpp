#include "app/yaml_tree.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace weir::app {
namespace {

constexpr std::size_t document_bytes_max = 16u << 20;  // 100,000 keys take about 15 MB
constexpr std::size_t nodes_max = 2'000'000;           // 100,000 keys have about 1,000,000
constexpr std::size_t copies_max = 200'000;  // anchored and aliased values: aliases of aliases grow without bytes
constexpr std::size_t depth_max = 32;        // the deepest setting stands at 6

struct TooLarge : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(const std::string& name, Problems& problems) : name_(name), problems_(problems) {}

  YamlNode root;

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    YamlNode node;
    node.place = place(mark);
    add(std::move(node), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {  // an anchor inside itself: not complete yet
      problems_.push_back({place(mark), "an alias cannot stand inside its own anchor"});
      YamlNode node;
      node.place = place(mark);
      add(std::move(node), 0);
      return;
    }
    count_copies(size_of(found->second));
    YamlNode copy = found->second;
    add(std::move(copy), 0);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node;
    node.place = place(mark);
    node.text = value;
    const bool plain = tag == "?";
    const bool null = plain && (value.empty() || value == "~" || value == "null" || value == "Null" || value == "NULL");
    node.kind = null ? YamlNode::Kind::null : YamlNode::Kind::scalar;
    add(std::move(node), anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, anchor, YamlNode::Kind::list);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, anchor, YamlNode::Kind::map);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Level {
    YamlNode node;
    YAML::anchor_t anchor = 0;
    bool has_key = false;
    bool drop_value = false;  // its key was refused
    std::string key;
    Place key_place;
    std::set<std::string> keys;
  };

  Place place(const YAML::Mark& mark) const { return {name_, mark.line + 1, mark.column + 1}; }

  void count(std::size_t nodes) {
    nodes_ += nodes;
    if (nodes_ > nodes_max) throw TooLarge("it has more than " + std::to_string(nodes_max) + " values");
  }

  void count_copies(std::size_t nodes) {
    count(nodes);
    copies_ += nodes;
    if (copies_ > copies_max)
      throw TooLarge("its anchors and aliases stand for more than " + std::to_string(copies_max) + " values");
  }

  // Aliases copy whole trees: their size must be known before the copy.
  static std::size_t size_of(const YamlNode& node) {
    std::size_t size = 1;
    for (const auto& child : node.children) size += size_of(child);
    return size;
  }

  void open(const YAML::Mark& mark, YAML::anchor_t anchor, YamlNode::Kind kind) {
    if (levels_.size() >= depth_max) throw TooLarge("it is nested deeper than " + std::to_string(depth_max));
    Level level;
    level.node.kind = kind;
    level.node.place = place(mark);
    level.anchor = anchor;
    levels_.push_back(std::move(level));
  }

  void close() {
    Level level = std::move(levels_.back());
    levels_.pop_back();
    add(std::move(level.node), level.anchor);
  }

  void add(YamlNode node, YAML::anchor_t anchor) {
    count(1);
    if (anchor != 0) {
      count_copies(size_of(node));
      anchors_[anchor] = node;
    }
    if (levels_.empty()) {
      root = std::move(node);
      return;
    }
    Level& level = levels_.back();
    if (level.node.kind == YamlNode::Kind::list) {
      level.node.children.push_back(std::move(node));
    } else if (!level.has_key) {
      take_key(level, node);
    } else {
      level.has_key = false;
      if (std::exchange(level.drop_value, false)) return;
      node.key = std::move(level.key);
      node.key_place = level.key_place;
      if (level.keys.insert(node.key).second) {
        level.node.children.push_back(std::move(node));
      } else {
        problems_.push_back({node.key_place, "duplicate key '" + node.key + "'"});
      }
    }
  }

  void take_key(Level& level, const YamlNode& node) {
    level.has_key = true;
    level.key = node.text;  // of a null as well: `null: 1` is a key of that name
    level.key_place = node.place;
    if (node.kind == YamlNode::Kind::list || node.kind == YamlNode::Kind::map) {
      problems_.push_back({node.place,
                           "a key must be a word, not a list or a map"
                           " (in { } and [ ] an interpolation needs quotes: \"${X}\")"});
      level.drop_value = true;
    } else if (node.text == "<<") {
      problems_.push_back(
          {node.place,
           "merge keys ('<<') are not understood: write the settings out, or use an alias for a whole value"});
      level.drop_value = true;
    }
  }

  const std::string& name_;
  Problems& problems_;
  std::vector<Level> levels_;
  std::map<YAML::anchor_t, YamlNode> anchors_;
  std::size_t nodes_ = 0;
  std::size_t copies_ = 0;
};

bool only_comments(std::string_view text) {
  bool comment = false;
  for (char c : text) {
    if (c == '\n')
      comment = false;
    else if (c == '#')
      comment = true;
    else if (!comment && c != ' ' && c != '\t' && c != '\r')
      return false;
  }
  return true;
}

std::string line_of(std::string_view text, int line) {
  for (int i = 1; i < line; ++i) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  return std::string(text.substr(0, text.find('\n')));
}

}  // namespace

YamlNode parse_yaml(std::string_view text, const std::string& name, Problems& problems) {
  const Place whole_file{name, 0, 0};
  if (text.size() > document_bytes_max) {
    problems.push_back({whole_file, "the file is larger than " + std::to_string(document_bytes_max >> 20) + " MiB"});
    return {};
  }
  if (text.find('\0') != std::string_view::npos) {
    problems.push_back({whole_file, "not a YAML file: it has NUL bytes in it"});
    return {};
  }
  if (only_comments(text)) return {};
  TreeBuilder builder(name, problems);
  try {
    std::istringstream input{std::string(text)};
    YAML::Parser parser(input);
    parser.HandleNextDocument(builder);
    TreeBuilder second(name, problems);
    if (parser.HandleNextDocument(second)) {
      problems.push_back({whole_file, "the file holds more than one YAML document ('---'); put all settings in one"});
    }
  } catch (const YAML::Exception& error) {
    const Place place{name, std::max(error.mark.line, 0) + 1, std::max(error.mark.column, 0) + 1};
    const auto line = line_of(text, place.line);
    std::string message = "invalid YAML: " + error.msg;
    if (line.find("${") != std::string::npos) message += " (in { } and [ ] an interpolation needs quotes: \"${X}\")";
    if (line.substr(0, line.find_first_not_of(" \t")).find('\t') != std::string::npos)
      message += " (YAML wants spaces at the beginning of a line, no tabs)";
    problems.push_back({place, message});
    return {};
  } catch (const std::exception& error) {
    problems.push_back({whole_file, std::string("invalid YAML: ") + error.what()});
    return {};
  }
  return std::move(builder.root);
}

}  // namespace weir::app
