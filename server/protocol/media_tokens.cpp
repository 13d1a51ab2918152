#include "protocol/media_tokens.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace weir::protocol {
namespace {

using Kind = ImageRule::Kind;

// providers.md §9.4 and OpenAI's vision guide. The first word found decides.
constexpr std::array<std::pair<std::string_view, ImageRule>, 22> rules{{
    {"gpt-4o-mini", {Kind::tiles, 2833, 5667, 0}},
    {"gpt-4.1-mini", {Kind::patches, 0, 1.62, 1536}},
    {"gpt-4.1-nano", {Kind::patches, 0, 2.46, 1536}},
    {"gpt-5-mini", {Kind::patches, 0, 1.62, 1536}},
    {"gpt-5-nano", {Kind::patches, 0, 2.46, 1536}},
    {"o4-mini", {Kind::patches, 0, 1.72, 1536}},
    {"gpt-5", {Kind::tiles, 70, 140, 0}},
    {"gpt-4", {Kind::tiles, 85, 170, 0}},
    {"gpt-3", {Kind::tiles, 85, 170, 0}},
    {"chatgpt", {Kind::tiles, 85, 170, 0}},
    {"computer-use", {Kind::tiles, 65, 129, 0}},
    {"codex", {Kind::tiles, 85, 170, 0}},
    {"claude", {Kind::area, 0, 750, 1600}},
    {"qwen", {Kind::area, 2, 784, 16384}},  // 28 x 28 pixels
    {"doubao", {Kind::area, 0, 784, 1312}},
    {"gemini", {Kind::tiles, 0, 258, 0}},
    {"gpt-", {Kind::tiles, 85, 170, 0}},
    {"o1", {Kind::tiles, 75, 150, 0}},
    {"o3", {Kind::tiles, 75, 150, 0}},
    {"deepseek-vl", {Kind::area, 0, 784, 1600}},
    {"kimi", {Kind::area, 0, 784, 4096}},
    {"glm", {Kind::area, 0, 784, 6144}},
}};

// What a picture is when nobody says.
constexpr ImageSize usual_size{1024, 1024};

// Reads base64, with the escape `\/` that some JSON writers use, as far as `bytes_max`.
std::vector<std::uint8_t> decode_base64(std::string_view text, std::size_t bytes_max) {
  std::vector<std::uint8_t> bytes;
  bytes.reserve(std::min(bytes_max, text.size()));
  unsigned buffer = 0;
  int bits = 0;
  for (const char c : text) {
    int value = -1;
    if (c >= 'A' && c <= 'Z') value = c - 'A';
    if (c >= 'a' && c <= 'z') value = c - 'a' + 26;
    if (c >= '0' && c <= '9') value = c - '0' + 52;
    if (c == '+' || c == '-') value = 62;
    if (c == '/' || c == '_') value = 63;
    if (c == '=' || bytes.size() >= bytes_max) break;
    if (value < 0) continue;
    buffer = (buffer << 6) | static_cast<unsigned>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes.push_back(static_cast<std::uint8_t>(buffer >> bits));
    }
  }
  return bytes;
}

class Bytes {
 public:
  explicit Bytes(std::vector<std::uint8_t> bytes) : bytes_(std::move(bytes)) {}
  std::size_t size() const { return bytes_.size(); }
  std::uint32_t at(std::size_t i) const { return i < bytes_.size() ? bytes_[i] : 0; }
  std::uint32_t big(std::size_t i, std::size_t n) const {
    std::uint32_t value = 0;
    for (std::size_t k = 0; k < n; ++k) value = (value << 8) | at(i + k);
    return value;
  }
  std::uint32_t little(std::size_t i, std::size_t n) const {
    std::uint32_t value = 0;
    for (std::size_t k = n; k-- > 0;) value = (value << 8) | at(i + k);
    return value;
  }
  bool has(std::size_t i, std::string_view text) const {
    for (std::size_t k = 0; k < text.size(); ++k) {
      if (at(i + k) != static_cast<unsigned char>(text[k])) return false;
    }
    return true;
  }

 private:
  std::vector<std::uint8_t> bytes_;
};

std::optional<ImageSize> checked(ImageSize size, bool known) {
  if (!known || size.width == 0 || size.height == 0) return std::nullopt;
  return size;
}

// The first frame header among the segments.
std::optional<ImageSize> jpeg_size(const Bytes& bytes) {
  std::size_t at = 2;
  while (at + 9 < bytes.size()) {
    if (bytes.at(at) != 0xFF) return std::nullopt;
    const std::uint32_t marker = bytes.at(at + 1);
    const bool frame = marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
    if (frame) return checked({bytes.big(at + 7, 2), bytes.big(at + 5, 2)}, true);
    if (marker == 0xFF)
      ++at;
    else
      at += 2 + bytes.big(at + 2, 2);
  }
  return std::nullopt;
}

std::optional<ImageSize> webp_size(const Bytes& bytes) {
  if (bytes.has(12, "VP8X")) return checked({bytes.little(24, 3) + 1, bytes.little(27, 3) + 1}, bytes.size() >= 30);
  if (bytes.has(12, "VP8L")) {
    const std::uint32_t packed = bytes.little(21, 4);
    return checked({(packed & 0x3FFF) + 1, ((packed >> 14) & 0x3FFF) + 1}, bytes.size() >= 25);
  }
  return checked({bytes.little(26, 2) & 0x3FFF, bytes.little(28, 2) & 0x3FFF}, bytes.size() >= 30);
}

// The part behind "data:...;base64,"; bare base64 as it is; empty: a URL.
std::string_view base64_of(std::string_view source) {
  if (source.starts_with("data:")) {
    const std::size_t comma = source.find(',');
    return comma == std::string_view::npos ? std::string_view() : source.substr(comma + 1);
  }
  return source.find(':') == std::string_view::npos ? source : std::string_view();
}

// Fitted into 2048 x 2048, then the short side brought to 768; of two readings of the rule, the one that also scales
// up, which is the higher.
double tiles_of(ImageSize size) {
  double width = size.width, height = size.height;
  const double fit = std::min(1.0, 2048 / std::max(width, height));
  width *= fit;
  height *= fit;
  const double scale = 768 / std::min(width, height);
  width = std::min(width * scale, 2048.0);
  height = std::min(height * scale, 2048.0);
  return std::ceil(width / 512 - 1e-9) * std::ceil(height / 512 - 1e-9);
}

}  // namespace

std::optional<ImageSize> image_size(std::string_view source) {
  const std::string_view encoded = base64_of(source);
  constexpr std::size_t head_bytes = 64, segments_bytes = 256 * 1024;  // a JPEG may carry a preview before its frame
  const Bytes head(decode_base64(encoded, head_bytes));
  if (head.has(0, "\x89PNG")) return checked({head.big(16, 4), head.big(20, 4)}, head.size() >= 24);
  if (head.has(0, "GIF8")) return checked({head.little(6, 2), head.little(8, 2)}, head.size() >= 10);
  if (head.has(0, "RIFF") && head.has(8, "WEBP")) return webp_size(head);
  if (head.has(0, "\xFF\xD8")) return jpeg_size(Bytes(decode_base64(encoded, segments_bytes)));
  return std::nullopt;
}

ImageRule image_rule_of(std::string_view model) {
  for (const auto& [word, rule] : rules) {
    const std::size_t at = model.find(word);
    const bool is_short = word.size() == 2;  // "o1" within a word means nothing
    if (at != std::string_view::npos && (!is_short || at == 0 || model[at - 1] == '/')) return rule;
  }
  return {Kind::area, 0, 784, 1600};
}

std::uint64_t rounded_tokens(double tokens) {
  return static_cast<std::uint64_t>(std::llround(std::max(tokens, 0.0)));
}

std::uint64_t image_tokens(const ImageRule& rule, const std::optional<ImageSize>& known, bool low_detail) {
  const ImageSize size = known.value_or(usual_size);
  const double pixels = static_cast<double>(size.width) * size.height;
  switch (rule.kind) {
    case Kind::tiles:
      return rounded_tokens(low_detail && rule.base > 0 ? rule.base : rule.base + rule.step * tiles_of(size));
    case Kind::patches: {
      const double patches = std::ceil(size.width / 32.0) * std::ceil(size.height / 32.0);
      return rounded_tokens(std::min(patches, static_cast<double>(rule.steps_max)) * rule.step);
    }
    case Kind::area:
      return rounded_tokens(rule.base +
                            std::clamp(std::ceil(pixels / rule.step), 4.0, static_cast<double>(rule.steps_max)));
  }
  return 0;
}

std::uint64_t media_tokens(const MediaPart& part, const ImageRule& rule) {
  const double bytes = static_cast<double>(base64_of(part.source).size()) * 0.75;
  switch (part.kind) {
    case MediaPart::Kind::image:
      return image_tokens(rule, image_size(part.source), part.low_detail);
    case MediaPart::Kind::audio: {
      // Ten tokens a second: of 48,000 bytes (WAV at 24 kHz) or about 16,000.
      const double per_token = part.format == "wav" || part.format == "pcm16" ? 4800 : 1600;
      return bytes > 0 ? rounded_tokens(bytes / per_token) : 600;
    }
    case MediaPart::Kind::video:
      return bytes > 0 ? rounded_tokens(std::clamp(bytes / 400, 500.0, 200'000.0)) : 5000;
    case MediaPart::Kind::file:
      // A page of PDF is about 30 kB and 2,000 tokens, its picture included.
      if (part.format.starts_with("text/")) return rounded_tokens(bytes / 4);
      return bytes > 0 ? rounded_tokens(std::clamp(bytes / 15, 500.0, 200'000.0)) : 5000;
  }
  return 0;
}

}  // namespace weir::protocol
