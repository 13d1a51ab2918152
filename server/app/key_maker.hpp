// Makes and hashes the keys that weir hands to its own clients. Only hashes are ever stored.
#pragma once

#include <string>
#include <string_view>

namespace weir::app {

// "sk-weir-" and 43 letters and digits: 256 random bits.
std::string make_key();

// "sha256:<64 hex digits>", as `keys[].hash` wants it. The keys are random, so a plain hash is enough.
std::string hash_key(std::string_view key);

}  // namespace weir::app
