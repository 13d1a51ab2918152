// Sixteen bytes of a text at once: how many of them are plain ASCII, and the place of each of those in a run of its
// kind. Without a branch, since the lengths of words cannot be foretold. What makes reading a prompt fast; token_sum
// adds up what the places cost.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>

#include <bit>
#endif

#include "protocol/char_classes.hpp"

namespace weir::protocol {

struct AsciiBlock {
  static constexpr std::size_t size = 16;
  // A run that goes on into a block may be so long; longer ones are cut to a length that weighs the same.
  static constexpr std::size_t open_run_max = 31;
  static constexpr std::size_t places_per_kind = open_run_max + 1 + size;
  static constexpr std::size_t place_count = ascii_kind_count * places_per_kind;
  static_assert(place_count <= 256);

  // How many bytes stand before the first one that needs a second look (class_special).
  std::size_t plain = 0;
  // How many of the last plain one's kind stand in a row up to it. REQUIRES: plain > 0.
  std::size_t run_length = 0;
};

// Writes the place of each plain byte: its kind * places_per_kind + how many of its kind stand before it in a row.
// `kind`: CharKind of the character before the block, and `length`: how many of it stand there in a row.
// REQUIRES: length <= open_run_max; room for sixteen places, also where fewer bytes are plain.
// One byte after the other: for machines without the other way, and to hold that against.
inline AsciiBlock look_at_each(const char* sixteen, unsigned kind, std::size_t length, std::uint8_t* places) {
  AsciiBlock block;
  for (; block.plain < AsciiBlock::size; ++block.plain) {
    const std::uint8_t c = ascii_classes[static_cast<unsigned char>(sixteen[block.plain])];
    if (c == class_special) break;
    if (kind_of_class[c] != kind) length = 0;
    kind = kind_of_class[c];
    places[block.plain] = static_cast<std::uint8_t>(kind * AsciiBlock::places_per_kind + length++);
  }
  block.run_length = length;
  return block;
}

#if defined(__SSE2__)
inline AsciiBlock look_at(const char* sixteen, unsigned kind, std::size_t length, std::uint8_t* places) {
  const auto all = [](std::size_t value) { return _mm_set1_epi8(static_cast<char>(value)); };
  const auto first_place = [](unsigned of) { return of * AsciiBlock::places_per_kind; };
  const auto between = [&](__m128i bytes, unsigned first, unsigned last) {
    const __m128i above = _mm_sub_epi8(bytes, all(first));  // of no sign: what stands before is far above
    return _mm_cmpeq_epi8(_mm_min_epu8(above, all(last - first)), above);
  };
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(sixteen));
  const __m128i letter = between(_mm_or_si128(bytes, all(0x20)), 'a', 'z');
  const __m128i digit = between(bytes, '0', '9');
  const __m128i space = _mm_cmpeq_epi8(bytes, all(' '));
  const __m128i line = _mm_cmplt_epi8(_mm_add_epi8(bytes, all(1)), all(' ' + 1));  // 0x7F turns into the least

  // The first place of each byte's kind. A mark is what nothing else is: its bits are turned into the others'.
  static_assert(kind_letter == 0);
  const auto instead_of_mark = [&](unsigned of) { return all(first_place(kind_mark) ^ first_place(of)); };
  __m128i kinds = _mm_andnot_si128(letter, all(first_place(kind_mark)));
  kinds = _mm_xor_si128(kinds, _mm_and_si128(digit, instead_of_mark(kind_digit)));
  kinds = _mm_xor_si128(kinds, _mm_and_si128(space, instead_of_mark(kind_space)));
  kinds = _mm_xor_si128(kinds, _mm_and_si128(line, instead_of_mark(kind_newline)));

  // Where each byte's run began: the greatest index up to it at which the kind changed. Indexes count from the earliest
  // that an open run may have begun at; one of a kind that is not ASCII's has ended.
  const bool open = kind < ascii_kind_count;
  const __m128i before =
      _mm_or_si128(_mm_slli_si128(kinds, 1), _mm_cvtsi32_si128(open ? static_cast<int>(first_place(kind)) : 0xFF));
  constexpr char origin = AsciiBlock::open_run_max;
  const __m128i indexes =
      _mm_add_epi8(_mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), all(origin));
  const __m128i same = _mm_cmpeq_epi8(kinds, before);
  __m128i begins = _mm_andnot_si128(same, indexes);
  begins = _mm_max_epu8(begins, _mm_slli_si128(begins, 1));
  begins = _mm_max_epu8(begins, _mm_slli_si128(begins, 2));
  begins = _mm_max_epu8(begins, _mm_slli_si128(begins, 4));
  begins = _mm_max_epu8(begins, _mm_slli_si128(begins, 8));
  begins = _mm_max_epu8(begins, all(origin - length));

  _mm_storeu_si128(reinterpret_cast<__m128i*>(places), _mm_add_epi8(kinds, _mm_sub_epi8(indexes, begins)));
  const auto bits = [](__m128i mask) { return static_cast<std::uint32_t>(_mm_movemask_epi8(mask)); };
  AsciiBlock block;
  const std::uint32_t special = bits(_mm_or_si128(bytes, _mm_cmpeq_epi8(bytes, all('\\'))));
  block.plain = static_cast<std::size_t>(std::countr_zero(special | (1U << AsciiBlock::size)));
  // From the changes, not from the places: the next block need not wait for those.
  const std::uint32_t changes = ~bits(same) & ((1U << block.plain) - 1);
  block.run_length =
      changes == 0 ? length + block.plain : block.plain + 1 - static_cast<std::size_t>(std::bit_width(changes));
  return block;
}
#else
inline AsciiBlock look_at(const char* sixteen, unsigned kind, std::size_t length, std::uint8_t* places) {
  return look_at_each(sixteen, kind, length, places);
}
#endif

}  // namespace weir::protocol
