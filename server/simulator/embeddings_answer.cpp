// Embeddings: a unit vector per input that depends on the input alone, as numbers or as base64 of little-endian floats.
#include <bit>
#include <cmath>
#include <cstdio>

#include "simulator/answer.hpp"
#include "simulator/base64.hpp"
#include "simulator/text.hpp"

namespace weir::simulator {
namespace {

std::uint64_t next_random(std::uint64_t& state) {  // splitmix64: the same on every machine
  state += 0x9e3779b97f4a7c15u;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

std::vector<float> embed(std::uint64_t hash, std::uint64_t dimensions) {
  std::vector<float> vector(dimensions);
  double squares = 0;
  for (float& value : vector) {
    value = static_cast<float>(static_cast<double>(next_random(hash) >> 40) / (1u << 23) - 1.0);
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  const auto scale = static_cast<float>(1 / std::sqrt(squares > 0 ? squares : 1));
  for (float& value : vector) value *= scale;
  return vector;
}

void put_numbers(std::string& out, const std::vector<float>& vector) {
  out += '[';
  for (const float value : vector) {
    char digits[32];
    if (out.back() != '[') out += ',';
    out.append(digits,
               static_cast<std::size_t>(std::snprintf(digits, sizeof digits, "%.7g", static_cast<double>(value))));
  }
  out += ']';
}

void put_base64(std::string& out, const std::vector<float>& vector) {
  static_assert(std::endian::native == std::endian::little);
  out += '"';
  append_base64(out, {reinterpret_cast<const char*>(vector.data()), vector.size() * sizeof(float)});
  out += '"';
}

}  // namespace

std::string write_embeddings(const ModelRequest& request) {
  std::string out = R"({"object":"list","data":[)";
  std::uint64_t index = 0;
  for (const std::uint64_t hash : request.embedding_inputs) {
    put(out, index > 0 ? "," : "", R"({"object":"embedding","index":)", index, R"(,"embedding":)");
    ++index;
    const std::vector<float> vector = embed(hash, request.dimensions);
    if (request.base64) {
      put_base64(out, vector);
    } else {
      put_numbers(out, vector);
    }
    out += '}';
  }
  put(out, R"(],"model":")", escaped(request.model), R"(","usage":{"prompt_tokens":)", request.prompt_tokens,
      R"(,"total_tokens":)", request.prompt_tokens, "}}");
  return out;
}

}  // namespace weir::simulator
