// The files of this repository as text, for tests that hold documents and sources against each other.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace weir::test {

inline const std::filesystem::path source_dir = WEIR_SOURCE_DIR;

// The text of one; `path`: within the repository, or from source_dir on. Empty: there is none.
inline std::string read_source(const std::filesystem::path& path) {
  std::ifstream file(source_dir / path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace weir::test
