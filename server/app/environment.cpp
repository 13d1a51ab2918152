#include "app/environment.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <unistd.h>

namespace weir::app {
namespace {

constexpr std::size_t file_bytes_max = 16u << 20;  // /dev/zero must not fill the memory

std::optional<std::string> read_whole_file(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::string content;
  char block[16384];
  while (file.read(block, sizeof block) || file.gcount() > 0) {
    content.append(block, static_cast<std::size_t>(file.gcount()));
    if (content.size() > file_bytes_max) return std::nullopt;
  }
  if (file.bad()) return std::nullopt;
  return content;
}

}  // namespace

Environment process_environment() {
  Environment environment;
  environment.variable = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
  environment.read_file = read_whole_file;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    environment.names.emplace_back(text.substr(0, text.find('=')));
  }
  return environment;
}

std::string secret_fault(std::string_view secret) {
  // A stray line end in a mounted secret is the usual cause.
  const bool printable =
      std::all_of(secret.begin(), secret.end(), [](unsigned char c) { return c > 0x20 && c != 0x7f; });
  return printable ? "" : "the secret has a space, a line end or a control character in it";
}

std::optional<std::string> secret_variable(const Environment& environment, const std::string& name,
                                           std::string& error) {
  auto value = environment.variable(name);
  if (!value || value->empty()) {
    const auto path = environment.variable(name + "_FILE");
    if (!path || path->empty()) return std::nullopt;
    value = environment.read_file(*path);
    if (!value) {
      error = "the file '" + *path + "' of " + name + "_FILE cannot be read";
      return std::nullopt;
    }
    while (!value->empty() && (value->back() == '\n' || value->back() == '\r')) value->pop_back();
    if (value->empty()) {
      error = "the file '" + *path + "' of " + name + "_FILE is empty";
      return std::nullopt;
    }
  }
  error = secret_fault(*value);
  if (!error.empty()) return std::nullopt;
  return value;
}

}  // namespace weir::app
