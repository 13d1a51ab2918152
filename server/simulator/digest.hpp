// SHA-256 of bytes as they come, as hexadecimal digits.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace weir::simulator {

class Digest {
 public:
  Digest();
  ~Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;

  void add(std::string_view bytes);
  std::string finish();  // once

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string sha256(std::string_view bytes);

}  // namespace weir::simulator
