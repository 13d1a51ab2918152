// When to come back, where an error says it only in words: "Please try again in 1.798s", "Please retry in 36.9s.",
// "in 496ms", "retry after 5 minutes and 30 seconds". Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace weir::protocol {

// `lower_case`: the message. No more than hint_max is believed.
std::optional<std::chrono::milliseconds> wait_in_words(std::string_view lower_case);

}  // namespace weir::protocol
