#include "app/key_maker.hpp"

#include <openssl/rand.h>

#include <array>
#include <stdexcept>

#include "app/words.hpp"
#include "net/sha256.hpp"

namespace weir::app {

std::string make_key() {
  constexpr std::string_view alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  constexpr std::size_t length = 43;  // log2(62) * 43 = 256 bits
  std::string key = "sk-weir-";
  while (key.size() < 8 + length) {
    std::array<unsigned char, 64> random{};
    if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1)
      throw std::runtime_error("no random bytes to be had");
    for (const unsigned char byte : random) {
      // Bytes of the last, incomplete round of the alphabet would favour its first letters.
      if (byte < 248 && key.size() < 8 + length) key += alphabet[byte % alphabet.size()];
    }
  }
  return key;
}

std::string hash_key(std::string_view key) {
  return format_key_hash(net::sha256(key));
}

}  // namespace weir::app
