#include "protocol/issued_id.hpp"

#include <simdjson.h>

namespace weir::protocol {
namespace {

std::string text_at(std::string_view body, std::string_view pointer) {
  simdjson::dom::parser parser;
  std::string_view id;
  if (parser.parse(simdjson::padded_string(body)).at_pointer(pointer).get(id) != simdjson::SUCCESS) return {};
  return std::string(id);
}

}  // namespace

std::string id_of_answer(std::string_view body) {
  return text_at(body, "/id");
}

std::string id_of_events(std::string_view events) {
  const auto data = events.find("data:");
  if (data == std::string_view::npos) return {};
  events.remove_prefix(data + 5);
  return text_at(events.substr(0, events.find('\n')), "/response/id");
}

}  // namespace weir::protocol
