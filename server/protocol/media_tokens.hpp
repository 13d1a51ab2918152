// What images, sound and files cost in tokens. OpenAI counts tiles or patches of an image, by model and `detail`;
// others count by area. The size of an image is read from its first bytes where they are in the request; of a remote
// one nothing is known and a usual size is taken. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/prompt_parts.hpp"

namespace weir::protocol {

struct ImageSize {
  std::uint32_t width = 0, height = 0;
};

// PNG, JPEG, GIF or WebP in a data: URL or in bare base64; nullopt: none of these, cut short, or a remote URL.
std::optional<ImageSize> image_size(std::string_view source);

// How a model counts images.
struct ImageRule {
  enum class Kind : std::uint8_t { tiles, patches, area };
  Kind kind = Kind::area;
  double base = 0, step = 0;    // tiles: base + step each; patches: step each; area: pixels per token in `step`
  std::uint64_t steps_max = 0;  // patches, or tokens by area
};
ImageRule image_rule_of(std::string_view model);

// To the nearest whole; none if negative.
std::uint64_t rounded_tokens(double tokens);

std::uint64_t image_tokens(const ImageRule& rule, const std::optional<ImageSize>& size, bool low_detail);

// Any part that is no text.
std::uint64_t media_tokens(const MediaPart& part, const ImageRule& rule);

}  // namespace weir::protocol
