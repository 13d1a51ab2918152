// Reads bodies for tests. The padding behind each body is filled with what would do most harm if it were read.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/request_view.hpp"

namespace weir::protocol {

inline std::variant<RequestView, BodyError> read_body(std::string_view body, Api api = Api::chat,
                                                      const ReadLimits& limits = {}, char padding = '}') {
  static RequestReader reader;
  std::vector<char> padded(body.begin(), body.end());
  padded.resize(body.size() + RequestReader::padding, padding);
  return reader.read(std::string_view(padded.data(), body.size()), api, limits);
}

inline RequestView view_of(std::string_view body, Api api = Api::chat) {
  auto result = read_body(body, api);
  auto* const view = std::get_if<RequestView>(&result);
  return view != nullptr ? std::move(*view) : RequestView();
}

// "kind field@offset", or "valid".
inline std::string outcome_of(std::string_view body, Api api = Api::chat, const ReadLimits& limits = {}) {
  const auto result = read_body(body, api, limits);
  const auto* const error = std::get_if<BodyError>(&result);
  if (error == nullptr) return "valid";
  const char* const kinds[] = {"json", "parameter", "duplicate"};
  return std::string(kinds[static_cast<int>(error->kind)]) + " " + error->field + "@" + std::to_string(error->offset);
}

inline std::string joined(const std::vector<std::string_view>& pieces) {
  std::string text;
  for (const std::string_view piece : pieces) text += piece;
  return text;
}

inline std::string spliced(std::string_view body, std::vector<Splice> splices) {
  return joined(apply_splices(body, splices));
}

}  // namespace weir::protocol
