#include "protocol/model_ids.hpp"

#include <simdjson.h>

namespace weir::protocol {

std::vector<std::string> ids_of_model_list(std::string_view body) {
  std::vector<std::string> ids;
  simdjson::dom::parser parser;
  const simdjson::padded_string text(body);
  simdjson::dom::array data;
  if (parser.parse(text)["data"].get(data) != simdjson::SUCCESS) return ids;
  for (const simdjson::dom::element model : data) {
    std::string_view id;
    if (model["id"].get(id) == simdjson::SUCCESS) ids.emplace_back(id);
  }
  return ids;
}

}  // namespace weir::protocol
