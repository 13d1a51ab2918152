// What kind of character stands in a text, as far as tokenizers care: each lower-case letter by itself, other ASCII by
// its habits, everything beyond by script. Tables only; the adding up is token_sum's, the meaning token_weights'.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace weir::protocol {

// The finest view: 64 classes, so that what a text uses of a table of their 4096 pairs stays in the L1 cache.
enum CharClass : std::uint8_t {
  class_a = 0,  // 'a' to 'z' are 0 to 25
  class_upper_vowel = 26,
  class_upper_consonant,
  class_digit,
  class_space,
  class_newline,
  class_control,  // tab and what is never printed
  class_period,
  class_comma,
  class_hyphen,
  class_underscore,
  class_slash,
  class_open_parenthesis,
  class_close_parenthesis,
  class_double_quote,
  class_single_quote,
  class_colon,
  class_semicolon,
  class_equals,
  class_angle,
  class_open_bracket,   // [ {
  class_close_bracket,  // ] }
  class_ornament,       // * # ~ ! ?
  class_backslash,
  class_sign,  // @ $ % ^ & | ` +
  class_latin_extended,
  class_cyrillic,
  class_greek,
  class_arabic,  // and Hebrew
  class_han_common,
  class_han_rare,
  class_hiragana,
  class_katakana,
  class_hangul,
  class_cjk_mark,  // punctuation and full-width forms
  class_symbol,    // general punctuation, arrows, lines, mathematics
  class_emoji,     // everything beyond the basic plane, but Han
  class_indic,     // the scripts of India
  class_other_script,
};
constexpr std::size_t char_class_count = 64;
static_assert(class_other_script < char_class_count);
constexpr std::size_t ascii_class_count = class_sign + 1;  // those of ASCII come first

// The coarse view: characters that form runs together, since tokenizers cut a text into such runs first.
enum CharKind : std::uint8_t {
  kind_letter,  // Latin
  kind_digit,
  kind_space,
  kind_newline,
  kind_mark,
  kind_alphabet,  // Cyrillic, Greek, Arabic, Hebrew
  kind_han,
  kind_kana,
  kind_hangul,
  kind_cjk_mark,
  kind_symbol,
  kind_other,
};
constexpr std::size_t char_kind_count = 12;
constexpr std::size_t ascii_kind_count = kind_mark + 1;  // those of ASCII come first

// In the table of ASCII: bytes that need a second look, which are the backslash (in JSON) and everything above 127.
constexpr std::uint8_t class_special = 255;

extern const std::array<std::uint8_t, 256> ascii_classes;               // CharClass, or class_special above 127
extern const std::array<std::uint8_t, char_class_count> kind_of_class;  // CharKind

// The class of every code point of the basic plane; 64 KiB, of which a text uses the few lines of its script.
constexpr std::size_t basic_plane_size = 0x10000;
extern const std::array<std::uint8_t, basic_plane_size> basic_plane_classes;
CharClass class_beyond(char32_t code_point);  // and beyond it

inline CharClass class_of(char32_t code_point) {
  return code_point < basic_plane_size ? static_cast<CharClass>(basic_plane_classes[code_point])
                                       : class_beyond(code_point);
}

}  // namespace weir::protocol
