// Bytes as a gzip stream of stored blocks: a content coding for answers that a relay must leave alone, without zlib.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir::simulator {

inline std::uint32_t crc32(std::string_view bytes) {
  static const std::array<std::uint32_t, 256> table = [] {
    std::array<std::uint32_t, 256> values{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = (value & 1) != 0 ? 0xEDB88320u ^ (value >> 1) : value >> 1;
      values[i] = value;
    }
    return values;
  }();
  std::uint32_t crc = ~0u;
  for (const char c : bytes) crc = table[(crc ^ static_cast<unsigned char>(c)) & 255u] ^ (crc >> 8);
  return ~crc;
}

inline std::string gzip_stored(std::string_view bytes) {
  constexpr std::size_t block_bytes_max = 65535;
  std::string out("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
  const auto put_little_endian = [&](std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) out += static_cast<char>(value >> (8 * i) & 255u);
  };
  std::string_view rest = bytes;
  do {
    const std::string_view block = rest.substr(0, block_bytes_max);
    rest.remove_prefix(block.size());
    out += rest.empty() ? '\1' : '\0';  // the last block; stored
    put_little_endian(block.size(), 2);
    put_little_endian(~block.size(), 2);
    out += block;
  } while (!rest.empty());
  put_little_endian(crc32(bytes), 4);
  put_little_endian(bytes.size(), 4);
  return out;
}

}  // namespace weir::simulator
