#include "protocol/usage.hpp"

#include <simdjson.h>

#include <utility>

#include "protocol/event_json.hpp"

namespace weir::protocol {
namespace {

namespace ondemand = simdjson::ondemand;

// A count; null, negative numbers and anything that is no number are not reported.
void read_count(ondemand::value value, std::optional<std::uint64_t>& out) {
  std::uint64_t count = 0;
  double real = 0;
  if (value.get_uint64().get(count) == simdjson::SUCCESS) {
    out = count;
  } else if (value.get_double().get(real) == simdjson::SUCCESS && real >= 0 && real < 1e15) {
    out = static_cast<std::uint64_t>(real);
  }
}

bool read_details(ondemand::value value, UsageReport& report) {
  if (first_byte(value) != '{') return true;
  ondemand::object details;
  if (value.get_object().get(details) != simdjson::SUCCESS) return false;
  for (auto next : details) {
    ondemand::field field;
    if (std::move(next).get(field) != simdjson::SUCCESS) return false;
    const ondemand::raw_json_string key = field.key();
    if (key == "cached_tokens") read_count(field.value(), report.cached);
    if (key == "reasoning_tokens") read_count(field.value(), report.reasoning);
  }
  return true;
}

// False: no answer whose usage could be believed.
bool read_answer(std::string_view body, UsageReport& report) {
  ondemand::document document;
  ondemand::object root;
  if (!parse_copy(body, document) || document.get_object().get(root) != simdjson::SUCCESS) return false;
  for (auto next : root) {
    ondemand::field field;
    if (std::move(next).get(field) != simdjson::SUCCESS) return false;
    if (field.key() != "usage" || first_byte(field.value()) != '{') continue;
    ondemand::object usage;
    if (field.value().get_object().get(usage) != simdjson::SUCCESS || !read_usage(usage, report)) return false;
  }
  return true;
}

}  // namespace

bool read_usage(ondemand::object object, UsageReport& report) {
  for (auto next : object) {
    ondemand::field field;
    if (std::move(next).get(field) != simdjson::SUCCESS) return false;
    const ondemand::raw_json_string key = field.key();
    if (key == "prompt_tokens" || key == "input_tokens") {
      read_count(field.value(), report.input);
    } else if (key == "completion_tokens" || key == "output_tokens") {
      read_count(field.value(), report.output);
    } else if (key == "prompt_tokens_details" || key == "input_tokens_details" || key == "completion_tokens_details" ||
               key == "output_tokens_details") {
      if (!read_details(field.value(), report)) return false;
    } else if (key == "prompt_cache_hit_tokens" || key == "cached_tokens") {
      if (!report.cached) read_count(field.value(), report.cached);
    } else if (key == "cache_creation_input_tokens") {
      read_count(field.value(), report.cache_creation);
    } else if (key == "cache_read_input_tokens") {
      read_count(field.value(), report.cache_read);
    }
  }
  return true;
}

void merge(UsageReport& report, const UsageReport& later) {
  const auto take = [](std::optional<std::uint64_t>& field, const std::optional<std::uint64_t>& value) {
    if (value) field = value;
  };
  take(report.input, later.input);
  take(report.output, later.output);
  take(report.cached, later.cached);
  take(report.reasoning, later.reasoning);
  take(report.cache_creation, later.cache_creation);
  take(report.cache_read, later.cache_read);
}

Usage total_of(const UsageReport& report, Api api) {
  Usage usage{report.input, report.cached, report.output, report.reasoning};
  if (api != Api::messages) return usage;
  if (report.cache_read) usage.cached = report.cache_read;
  if (report.input || report.cache_creation || report.cache_read) {
    usage.input = report.input.value_or(0) + report.cache_creation.value_or(0) + report.cache_read.value_or(0);
  }
  return usage;
}

std::optional<Usage> usage_of_answer(std::string_view body, Api api) {
  UsageReport report;
  const bool read = read_answer(body, report);
  release_large_copy();
  if (!read || !report.any()) return {};
  return total_of(report, api);
}

}  // namespace weir::protocol
