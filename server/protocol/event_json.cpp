#include "protocol/event_json.hpp"

#include <algorithm>
#include <string>

namespace weir::protocol {
namespace {

// A thread keeps buffers for events and answers up to this size.
constexpr std::size_t kept_copy_max = 1024 * 1024;
constexpr std::size_t kept_bytes_min = 16 * 1024;

struct Workspace {
  simdjson::ondemand::parser parser;
  std::string copy;  // the text and padding
  std::size_t size = 0;
};

Workspace& workspace() {
  thread_local Workspace instance;
  return instance;
}

}  // namespace

bool parse_copy(std::string_view text, simdjson::ondemand::document& document) {
  Workspace& own = workspace();
  if (own.copy.capacity() < text.size() + simdjson::SIMDJSON_PADDING) {
    own.copy.reserve(std::max(kept_bytes_min, text.size() + simdjson::SIMDJSON_PADDING));
  }
  own.copy.assign(text);
  own.copy.append(simdjson::SIMDJSON_PADDING, ' ');
  own.size = text.size();
  if (own.parser.capacity() < text.size() &&
      own.parser.allocate(std::max(kept_bytes_min, text.size())) != simdjson::SUCCESS) {
    return false;
  }
  return own.parser.iterate(simdjson::padded_string_view(own.copy.data(), own.size, own.copy.size())).get(document) ==
         simdjson::SUCCESS;
}

void release_large_copy() {
  Workspace& own = workspace();
  if (own.copy.capacity() <= kept_copy_max) return;
  own.parser = simdjson::ondemand::parser();
  own.copy = std::string();
  own.size = 0;
}

std::string_view parsed_copy() {
  const Workspace& own = workspace();
  return std::string_view(own.copy).substr(0, own.size);
}

}  // namespace weir::protocol
