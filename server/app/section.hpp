// Strict reading of one map of a settings file. Each reader names its key, so that what is left over at the end is an
// unknown key; each leaves its target alone when the key is absent, so that the default stands. Problems are collected,
// never thrown. Used by config.cpp and provider_profile.cpp; knows no setting by name.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "app/config.hpp"
#include "app/environment.hpp"
#include "app/problem.hpp"
#include "app/yaml_tree.hpp"

namespace weir::app {

// What all sections of one file share.
struct ReadContext {
  const Environment& environment;
  Problems& problems;
  std::set<std::string>* known = nullptr;  // when set: every key's path is noted, and lists are visited once if empty
};

// A value after interpolation.
struct Scalar {
  std::string text;
  std::string shown;  // for messages: as written in the file, so that no secret shows
  Place place;
  bool interpolated = false;
};

struct DurationRange {
  Duration min{1};
  Duration max = unlimited_duration;
  bool may_be_unlimited = false;
};

class Section {
 public:
  using Words = std::vector<std::string>;

  // `node` may be null (the section is absent). `path` is "" for the whole file, else "queue" or "keys[2]"; `shape` is
  // the same with "[]" and "*" for what users name themselves.
  Section(ReadContext& context, const YamlNode* node, std::string path, std::string shape);

  const Place& place() const { return place_; }
  const std::string& path() const { return path_; }
  bool has(std::string_view key) const;

  // Reports what was not read. Call once, after the last reader.
  void finish();

  // A problem of this section (key empty) or of one key.
  void problem(std::string_view key, const std::string& message);
  // A problem of one of several values of a key, or of a value that may have come out of an interpolation: then
  // `message` (which may quote it) gives way to "expected " + `expected`.
  void problem_of(const Name& value, std::string_view key, const std::string& message, std::string_view expected);
  void require(std::string_view key);

  std::optional<Scalar> scalar(std::string_view key, std::string_view expected);
  std::optional<Scalar> secret_scalar(std::string_view key);

  void text(std::string_view key, std::string& into);
  void secret(std::string_view key, std::string& into);
  void name(std::string_view key, std::optional<Name>& into);
  void texts(std::string_view key, std::vector<std::string>& into);  // a list, or one word
  void names(std::string_view key, std::vector<Name>& into);
  void flag(std::string_view key, bool& into);                           // true, false, on, off
  void limit(std::string_view key, std::optional<std::uint64_t>& into);  // a count from 1, or `unlimited`
  void fraction(std::string_view key, double& into, double min, double max);
  void duration(std::string_view key, Duration& into, const DurationRange& range);
  void duration(std::string_view key, std::optional<Duration>& into, const DurationRange& range);
  void size(std::string_view key, std::size_t& into, std::size_t min, std::size_t max);

  template <class T>
  void count(std::string_view key, T& into, std::uint64_t min, std::uint64_t max) {
    if (const auto value = count_in(key, min, max)) into = static_cast<T>(*value);
  }

  // One of a few words. `T` may be an optional.
  template <class T, class E>
  void choice(std::string_view key, T& into, const std::vector<std::pair<std::string, E>>& table) {
    Words words;
    for (const auto& entry : table) words.push_back(entry.first);
    if (const auto index = word_in(key, words)) into = table[*index].second;
  }

  // A map under `key`, read by `read`, which is also called when it is absent (with an empty section).
  void section(std::string_view key, const std::function<void(Section&)>& read);
  // A list of maps. An item that is a single word becomes {`word_key`: word} where a word_key is given.
  void list(std::string_view key, const std::function<void(Section&)>& read, std::string_view word_key = {},
            std::size_t items_max = 1000);
  // A map whose keys users choose. `read` gets the key; the section's place() is that of the key.
  void entries(std::string_view key, const std::function<void(const std::string&, Section&)>& read,
               std::size_t items_max = 1000);
  // For a section whose keys users choose: calls `read` with each of them; the key is then read as any other.
  void each_word(std::string_view shape_key, const std::function<void(const std::string&)>& read);
  // A map of words to words.
  void pairs(std::string_view key, std::vector<std::pair<std::string, std::string>>& into);

 private:
  const YamlNode* take(std::string_view key);
  const YamlNode* take_list(std::string_view key, std::size_t items_max);
  std::string path_of(std::string_view key) const;
  std::optional<Scalar> read_scalar(const YamlNode& node, const std::string& path, std::string_view expected,
                                    bool is_secret);
  std::optional<std::uint64_t> count_in(std::string_view key, std::uint64_t min, std::uint64_t max);
  std::optional<std::size_t> word_in(std::string_view key, const Words& words);

  ReadContext& context_;
  const YamlNode* node_;  // lives in the file's tree, or null
  std::string path_;
  std::string shape_;
  Place place_;
  Words known_;
};

// Every key that `read` would read of a file, each with its path.
std::vector<std::string> keys_read_by(const std::function<void(Section&)>& read);

}  // namespace weir::app
