#include "proxy/trace_context.hpp"

#include <algorithm>

namespace weir::proxy {
namespace {

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_id(std::string_view text) {
  return is_hex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

}  // namespace

// version "-" trace id "-" parent id "-" flags; later versions may say more behind it.
std::string_view trace_id_of(std::string_view traceparent) {
  constexpr std::size_t known_size = 55;
  if (traceparent.size() < known_size) return {};
  const std::string_view version = traceparent.substr(0, 2), trace = traceparent.substr(3, 32);
  const std::string_view parent = traceparent.substr(36, 16), flags = traceparent.substr(53, 2);
  const bool dashes = traceparent[2] == '-' && traceparent[35] == '-' && traceparent[52] == '-';
  if (!dashes || !is_hex(version) || version == "ff" || !is_id(trace) || !is_id(parent) || !is_hex(flags)) return {};
  const bool longer = traceparent.size() > known_size;
  if (longer && (version == "00" || traceparent[known_size] != '-')) return {};
  return trace;
}

}  // namespace weir::proxy
