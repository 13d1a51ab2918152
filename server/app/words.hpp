// Pieces of settings that the configuration and the provider files have in common: the words for enumerations, limits,
// parameter rules, headers, key hashes. One table each way, so that reading and printing cannot disagree.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/config.hpp"
#include "app/section.hpp"

namespace weir::app {

inline constexpr unsigned workers_max = 1024;

template <class E>
using WordTable = std::vector<std::pair<std::string, E>>;

const WordTable<proxy::ClientMode>& client_mode_words();
const WordTable<proxy::AuthStyle>& auth_words();
const WordTable<proxy::ParameterAction>& parameter_action_words();
const WordTable<proxy::ChargeRule>& charge_rule_words();
const WordTable<LogFormat>& log_format_words();
const WordTable<LogStream>& log_stream_words();
const WordTable<std::string>& log_level_words();
const WordTable<std::string>& priority_words();

template <class E>
const std::string& word_of(const WordTable<E>& table, E value) {
  for (const auto& entry : table) {
    if (entry.second == value) return entry.first;
  }
  return table.front().first;  // unreachable: every enumerator has a word
}

// Names of accounts, keys and teams appear in headers, logs and metrics.
bool is_name(std::string_view text);
inline constexpr const char* name_form = "1 to 64 letters, digits, '.', '_' or '-'";

void read_limits(Section& section, LimitsConfig& into);
void read_limited_by(Section& section, LimitedBy& into);                          // `tier` and `limits`
void read_parameters(Section& section, std::vector<proxy::ParameterRule>& into);  // `parameters`: name to action

// One sentence when a header cannot be set by a configuration; empty when it can.
std::string header_fault(const std::string& name, const std::string& value);

bool parse_key_hash(std::string_view text, std::array<std::uint8_t, 32>& into);  // "sha256:<64 hex digits>"
std::string format_key_hash(const std::array<std::uint8_t, 32>& hash);

}  // namespace weir::app
