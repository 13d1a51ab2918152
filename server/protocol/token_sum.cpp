#include "protocol/token_sum.hpp"

#include <cstring>
#include <utility>

#include "protocol/ascii_block.hpp"
#include "protocol/char_reader.hpp"

namespace weir::protocol {
namespace {

constexpr std::array<TokenClass, char_class_count> make_classes() {
  std::array<TokenClass, char_class_count> classes{};
  for (std::size_t c = 0; c < char_class_count; ++c) {
    classes[c] = c <= class_upper_consonant ? TokenClass::words
                 : c == class_digit         ? TokenClass::digits
                 : c <= class_sign          ? TokenClass::marks
                 : c <= class_arabic        ? TokenClass::alphabets
                 : c <= class_han_rare      ? TokenClass::han
                 : c <= class_hangul        ? TokenClass::syllables
                 : c == class_cjk_mark      ? TokenClass::han
                                            : TokenClass::others;
  }
  return classes;
}
constexpr auto class_groups = make_classes();
constexpr std::array<TokenClass, char_kind_count> kind_groups{
    TokenClass::words,     TokenClass::digits,    TokenClass::marks,  TokenClass::marks,
    TokenClass::marks,     TokenClass::alphabets, TokenClass::han,    TokenClass::syllables,
    TokenClass::syllables, TokenClass::han,       TokenClass::others, TokenClass::others};
constexpr std::array<TokenClass, 3> lane_groups{TokenClass::words, TokenClass::digits, TokenClass::marks};

}  // namespace

// Reads one text; what comes with the next call follows what came before.
template <bool escaped>
class TokenSum::Pass {
 public:
  explicit Pass(TokenSum& into) : into_(into), weights_(*into.weights_) {}

  void read(std::string_view text) {
    reader_ = CharReader<escaped>(text);
    while (!reader_.done()) {
      while (read_stretch() == stretch_max) {
      }
      read_others();
    }
  }

 private:
  static constexpr std::ptrdiff_t stretch_min = 4;  // shorter ones are not worth a block
  static constexpr std::size_t stretch_max = lane_chars_max / AsciiBlock::size * AsciiBlock::size;

  // What stands before the next stretch of plain ASCII: escapes, characters beyond it, and what of it stands between
  // those. Most of one class of tokens, so that its sum is kept at hand.
  void read_others() {
    TokenClass group = TokenClass::others;
    std::int64_t sum = 0;
    std::size_t place = run_position(length_);  // of the next character, if it goes on with the run
    while (!reader_.done()) {
      if (reader_.at_plain_ascii() && reader_.before_plain_ascii(stretch_min)) break;
      const unsigned c = reader_.next();
      const unsigned kind = kind_of_class[c];
      if (kind != kind_) place = 0;
      if (class_groups[c] != group) {
        into_.add(group, std::exchange(sum, 0));
        group = class_groups[c];
      }
      sum += weights_.pairs[c * char_class_count + previous_];
      const std::int64_t weight = weights_.places[kind][place];
      if (kind_groups[kind] == group) {
        sum += weight;
      } else {
        into_.add(kind_groups[kind], weight);
      }
      previous_ = c;
      kind_ = kind;
      place = place + 1 == run_positions ? run_position(run_positions) : place + 1;
    }
    length_ = place;
    into_.add(group, sum);
  }

  // As much plain ASCII as stands next, up to stretch_max; returns how much. Places are all found before the first is
  // looked up: to read a byte back right behind the store of sixteen would stall.
  std::size_t read_stretch() {
    const std::string_view rest = reader_.rest();
    std::size_t found = 0;
    unsigned kind = kind_;
    while (found < stretch_max) {
      const AsciiBlock block = find_places(rest.substr(found), kind, &places_[found]);
      if (block.plain == 0) break;
      found += block.plain;
      kind = kind_of_class[ascii_classes[static_cast<unsigned char>(rest[found - 1])]];
      length_ = block.run_length > AsciiBlock::open_run_max ? run_position(block.run_length) : block.run_length;
      if (block.plain < AsciiBlock::size) break;
    }
    kind_ = kind;
    add_stretch(rest.substr(0, found));
    reader_.skip(found);
    return found;
  }

  AsciiBlock find_places(std::string_view rest, unsigned kind, std::uint8_t* places) const {
    if (rest.size() >= AsciiBlock::size) return look_at(rest.data(), kind, length_, places);
    std::array<char, AsciiBlock::size> padded;
    padded.fill('\\');  // which ends what is plain
    std::memcpy(padded.data(), rest.data(), rest.size());
    return look_at(padded.data(), kind, length_, places);
  }

  void add_stretch(std::string_view plain) {
    if (plain.empty()) return;
    const auto* const bytes = reinterpret_cast<const unsigned char*>(plain.data());
    const std::size_t count = plain.size();
    const unsigned first = ascii_classes[bytes[0]];
    // Letters, digits and marks, each in its lane.
    std::int64_t pairs = in_lane(weights_.pairs[first * char_class_count + previous_], kind_of_class[first]);
    std::int64_t places = weights_.ascii_places[places_[0]];
    std::size_t row = ascii_rows[bytes[0]];
    const auto add_one = [&](std::size_t i) {
      pairs += weights_.ascii_pairs[row + bytes[i]];
      places += weights_.ascii_places[places_[i]];
      row = ascii_rows[bytes[i]];
    };
    std::size_t i = 1;
    for (; i + 8 <= count; i += 8) {
#pragma GCC unroll 8
      for (std::size_t k = 0; k < 8; ++k) add_one(i + k);
    }
    for (; i < count; ++i) add_one(i);
    previous_ = ascii_classes[bytes[count - 1]];
    std::int64_t lanes = pairs + places;
    constexpr int unused_bits = 64 - lane_bits;
    for (const TokenClass group : lane_groups) {
      const auto lane = static_cast<std::int64_t>(static_cast<std::uint64_t>(lanes) << unused_bits) >> unused_bits;
      into_.add(group, lane);
      lanes = (lanes - lane) >> lane_bits;
    }
  }

  TokenSum& into_;
  const TokenWeights& weights_;
  CharReader<escaped> reader_{{}};
  unsigned previous_ = class_newline;  // a text begins as if behind a line feed
  unsigned kind_ = kind_newline;       // of the run that may go on, and how long it is or weighs as
  std::size_t length_ = 1;
  std::array<std::uint8_t, stretch_max> places_;  // of the plain ASCII that is read
};

template <bool escaped>
void TokenSum::read(std::string_view text, std::string_view lead) {
  Pass<escaped> pass(*this);
  if (!lead.empty()) {
    const auto before = thousandths_;
    pass.read(lead);
    thousandths_ = before;
  }
  pass.read(text);
}

void TokenSum::read_json(std::string_view inside, std::string_view lead) {
  read<true>(inside, lead);
}
void TokenSum::read_plain(std::string_view utf8, std::string_view lead) {
  read<false>(utf8, lead);
}

void TokenSum::add_to(TokenFeatures& features, double scale) const {
  for (std::size_t i = 0; i < features.size(); ++i)
    features[i] += static_cast<float>(static_cast<double>(thousandths_[i]) * scale / 1000);
}

}  // namespace weir::protocol
