#include "protocol/char_classes.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>

namespace weir::protocol {
namespace {

constexpr std::array<std::uint8_t, 256> make_ascii_classes() {
  std::array<std::uint8_t, 256> classes{};
  classes.fill(class_special);
  for (std::size_t c = 0; c < 128; ++c) classes[c] = class_control;
  const auto put = [&](std::string_view characters, CharClass as) {
    for (const char c : characters) classes[static_cast<unsigned char>(c)] = as;
  };
  for (char c = 'a'; c <= 'z'; ++c) classes[static_cast<unsigned char>(c)] = static_cast<std::uint8_t>(c - 'a');
  put("ABCDEFGHIJKLMNOPQRSTUVWXYZ", class_upper_consonant);
  put("AEIOU", class_upper_vowel);
  put("0123456789", class_digit);
  put(" ", class_space);
  put("\n\r", class_newline);
  put(".", class_period);
  put(",", class_comma);
  put("-", class_hyphen);
  put("_", class_underscore);
  put("/", class_slash);
  put("(", class_open_parenthesis);
  put(")", class_close_parenthesis);
  put("\"", class_double_quote);
  put("'", class_single_quote);
  put(":", class_colon);
  put(";", class_semicolon);
  put("=", class_equals);
  put("<>", class_angle);
  put("[{", class_open_bracket);
  put("]}", class_close_bracket);
  put("*#~!?", class_ornament);
  put("@$%^&|`+", class_sign);
  classes['\\'] = class_special;
  return classes;
}

constexpr std::array<std::uint8_t, char_class_count> make_kinds() {
  std::array<std::uint8_t, char_class_count> kinds{};
  for (std::size_t c = class_period; c <= class_sign; ++c) kinds[c] = kind_mark;
  for (std::size_t c = class_a; c <= class_upper_consonant; ++c) kinds[c] = kind_letter;
  kinds[class_digit] = kind_digit;
  kinds[class_space] = kind_space;
  kinds[class_newline] = kind_newline;
  kinds[class_control] = kind_newline;
  kinds[class_latin_extended] = kind_letter;
  kinds[class_cyrillic] = kinds[class_greek] = kinds[class_arabic] = kind_alphabet;
  kinds[class_han_common] = kinds[class_han_rare] = kind_han;
  kinds[class_hiragana] = kinds[class_katakana] = kind_kana;
  kinds[class_hangul] = kind_hangul;
  kinds[class_cjk_mark] = kind_cjk_mark;
  kinds[class_symbol] = kind_symbol;
  kinds[class_emoji] = kinds[class_indic] = kinds[class_other_script] = kind_other;
  return kinds;
}

// Characters that vocabularies have words with: the most frequent ones of Chinese manuals, and everyday ones.
constexpr std::u32string_view common_han =
    U"一三上下不与且东两个中串为主么义之也买了事二于互些交产人什仅今仍从他代令以们件任份优会传似但位体何作你使"
    U"例供依便保信修個候值做停储像儿允元先免入全公共关其具兼内册再写冬冲决况准几出函分划列则创初删别到制前功加"
    U"务动助包化北匹区医协单卖南印即卷压原去参及反发取受变口句另只可台号吃各合同名后向否含启告员命和响喜器回因"
    U"围国图在地址块坛型域基境增声处备复夏外多够大天失头套女她好如妈始子字存学孩它安完宏定实客家容密对导射将小"
    U"少就尽局层展属山工已布带帮常平年并序库应度建开式引强当录形影径待很得心必志忽态性总恢息您情想意態成我或户"
    U"所手才打执扩找把护报拟择括持指按换据排接控描提操支收改放效数整文断新方无日早时明映春昨是显晚更替最有服期"
    U"未本机权束条来构析果某查标树样核根格案档检模檔次欢止正此步殊段每比水求没法注流测消添清源火点為然照爱爸版"
    U"特状狗猫环现理生用由电男留略病白的盖盘目直相省看真眼着睛知码硬确磁示秋种称移程空立章端符第等简算管类系素"
    U"索組红约级线组细终经结给络统维绿缓编缩缺网置美翻老考者而联能脚自至致與般节花若范草药获蓝虚行表被装裝西要"
    U"覆见规览解言计认议记许论设访证识译试话询该详语误说请读调象资赖走起超跋跟路身车转软载较辑输达过运返还这进"
    U"远连述退送适选递通道那邮部都配释里重量钱链错键长闭问间阅际限院除随隔集雨雪零需非面頁页项须预题额风驱验體"
    U"高鱼鸟黄黑默";

struct Range {
  char32_t end;  // exclusive; a range begins where the one before it ends
  CharClass kind;
};

// Unassigned code points take the class of their neighbours.
constexpr Range ranges[] = {
    {0x00AA, class_symbol},          // Latin-1 signs
    {0x00AB, class_latin_extended},  // feminine ordinal
    {0x00BA, class_symbol},         {0x00BB, class_latin_extended},
    {0x00C0, class_symbol},         {0x0370, class_latin_extended},  // with phonetic letters and combining marks
    {0x0400, class_greek},          {0x0530, class_cyrillic},
    {0x0590, class_greek},   // Armenian
    {0x0780, class_arabic},  // Hebrew, Arabic, Syriac
    {0x0900, class_other_script},   {0x0E00, class_indic},
    {0x1100, class_other_script},   {0x1200, class_hangul},
    {0x1E00, class_other_script},   {0x1F00, class_latin_extended},
    {0x2000, class_greek},          {0x2C00, class_symbol},
    {0x2E80, class_other_script},   {0x3000, class_han_rare},  // radicals
    {0x3040, class_cjk_mark},       {0x30A0, class_hiragana},
    {0x3100, class_katakana},       {0x3130, class_other_script},  // Bopomofo
    {0x3190, class_hangul},         {0x3400, class_cjk_mark},
    {0xA000, class_han_rare},       {0xAC00, class_other_script},
    {0xD7B0, class_hangul},         {0xF900, class_other_script},  // surrogates, private use
    {0xFB00, class_han_rare},       {0xFB50, class_symbol},
    {0xFE00, class_arabic},         {0xFE20, class_symbol},  // variation selectors
    {0xFF66, class_cjk_mark},       {0xFFA0, class_katakana},
    {0x10000, class_symbol},        {0x20000, class_emoji},
    {0x40000, class_han_rare},      {0x110000, class_emoji},
};

CharClass class_by_range(char32_t code_point) {
  const auto* range = std::upper_bound(std::begin(ranges), std::end(ranges), code_point,
                                       [](char32_t value, const Range& r) { return value < r.end; });
  return range == std::end(ranges) ? class_other_script : range->kind;
}

std::array<std::uint8_t, basic_plane_size> make_basic_plane() {
  std::array<std::uint8_t, basic_plane_size> classes{};
  for (char32_t c = 0; c < 128; ++c) classes[c] = ascii_classes[c];
  classes['\\'] = class_backslash;
  for (char32_t c = 128; c < basic_plane_size; ++c) classes[c] = class_by_range(c);
  for (const char32_t c : common_han) classes[c] = class_han_common;
  return classes;
}

}  // namespace

const std::array<std::uint8_t, 256> ascii_classes = make_ascii_classes();
const std::array<std::uint8_t, char_class_count> kind_of_class = make_kinds();

// Behind ascii_classes, which it is made from.
const std::array<std::uint8_t, basic_plane_size> basic_plane_classes = make_basic_plane();

CharClass class_beyond(char32_t code_point) {
  return class_by_range(code_point);
}

}  // namespace weir::protocol
