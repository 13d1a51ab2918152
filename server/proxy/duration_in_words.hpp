// A duration as a person reads it, in every sentence that names one. Pure.
#pragma once

#include <chrono>
#include <string>

namespace weir::proxy {

// "0.3 s", "120 s", "2 min 5 s", "21 h 19 min", "3 d 4 h": to two minutes in seconds, above in two units; rounded up.
std::string duration_in_words(std::chrono::milliseconds duration);

}  // namespace weir::proxy
