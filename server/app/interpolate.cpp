#include "app/interpolate.hpp"

#include <algorithm>
#include <cctype>

namespace weir::app {
namespace {

constexpr std::size_t result_bytes_max = 1u << 20;  // a secret or a name, never a document
constexpr int nesting_max = 4;                      // ${A:-${B:-${C}}}

bool is_variable_name(std::string_view name) {
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name.front()))) return false;
  return std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return c < 0x80 && (std::isalnum(c) || c == '_'); });
}

// The offset of the '}' that closes a '${' whose inside starts at `begin`; npos: none.
std::size_t closing(std::string_view text, std::size_t begin) {
  int depth = 1;
  for (std::size_t i = begin; i < text.size(); ++i) {
    if (text[i] == '$' && i + 1 < text.size() && text[i + 1] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) return i;
  }
  return std::string_view::npos;
}

Interpolated expand(std::string_view text, const Environment& environment, int nesting);

Interpolated value_of(std::string_view inside, const Environment& environment, int nesting) {
  Interpolated result;
  result.changed = true;
  constexpr std::string_view file_prefix = "file:";
  if (inside.starts_with(file_prefix)) {
    const std::string path(inside.substr(file_prefix.size()));
    auto content = environment.read_file(path);
    if (!content) {
      result.error = "the file '" + path + "' cannot be read";
      return result;
    }
    while (!content->empty() && (content->back() == '\n' || content->back() == '\r')) content->pop_back();
    if (content->empty()) result.error = "the file '" + path + "' is empty";
    result.text = std::move(*content);
    return result;
  }
  const auto separator = inside.find(":-");
  const std::string name(inside.substr(0, separator));
  if (!is_variable_name(name)) {
    // What stands there is not shown: it may be the secret itself, put where its name belongs.
    result.error =
        "what stands between '${' and '}' is no variable name: write ${NAME}, ${NAME:-default} or ${file:/path}";
    return result;
  }
  const auto value = environment.variable(name);
  if (value && !value->empty()) {
    result.text = *value;
  } else if (separator != std::string_view::npos) {
    Interpolated fallback = expand(inside.substr(separator + 2), environment, nesting + 1);
    fallback.changed = true;
    return fallback;
  } else {
    // Set but empty is the mark of a deployment that forgot it: an empty api_key would quietly mean pass-through.
    result.error =
        "the variable " + name + (value ? " is empty" : " is not set") + "; set it, or write ${" + name + ":-default}";
  }
  return result;
}

Interpolated expand(std::string_view text, const Environment& environment, int nesting) {
  Interpolated result;
  if (nesting > nesting_max) {
    result.error = "interpolations are nested too deeply";
    return result;
  }
  std::size_t position = 0;
  while (position < text.size()) {
    const auto start = text.find("${", position);
    if (start == std::string_view::npos) break;
    result.text += text.substr(position, start - position);
    if (start > position && text[start - 1] == '$') {  // "$${": the first '$' is copied, it becomes "${"
      result.text += '{';
      position = start + 2;
      continue;
    }
    const auto end = closing(text, start + 2);
    if (end == std::string_view::npos) {
      result.error = "'${' is not closed; for a plain '${' write '$${'";
      return result;
    }
    Interpolated value = value_of(text.substr(start + 2, end - start - 2), environment, nesting);
    if (!value.error.empty()) return value;
    result.changed = true;
    result.text += value.text;
    if (result.text.size() > result_bytes_max) {
      result.error = "the value is larger than 1 MiB";
      return result;
    }
    position = end + 1;
  }
  result.text += text.substr(position);
  return result;
}

}  // namespace

Interpolated interpolate(std::string_view text, const Environment& environment) {
  return expand(text, environment, 0);
}

}  // namespace weir::app
