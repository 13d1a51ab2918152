#include "net/sha256.hpp"

#include <openssl/evp.h>

#include <memory>

namespace weir::net {

Sha256 sha256(std::string_view text) {
  return sha256({text});
}

Sha256 sha256(std::initializer_list<std::string_view> pieces) {
  // Fetched once: OpenSSL's one-shot SHA256() looks the algorithm up by name for every call, which costs more than it.
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  struct Free {
    void operator()(EVP_MD_CTX* state) const { EVP_MD_CTX_free(state); }
  };
  thread_local const std::unique_ptr<EVP_MD_CTX, Free> state(EVP_MD_CTX_new());
  Sha256 hash{};
  EVP_DigestInit_ex(state.get(), algorithm, nullptr);
  for (const std::string_view piece : pieces) EVP_DigestUpdate(state.get(), piece.data(), piece.size());
  EVP_DigestFinal_ex(state.get(), hash.data(), nullptr);
  return hash;
}

}  // namespace weir::net
