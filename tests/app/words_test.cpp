// Small things the rest stands on: made keys and their hashes, what a machine allows, which word was meant.
#include "app/words.hpp"

#include <gtest/gtest.h>

#include <set>

#include "app/key_maker.hpp"
#include "app/machine.hpp"
#include "app/problem.hpp"

namespace weir::app {
namespace {

TEST(KeyMaker, MakesKeysThatDiffer) {
  std::set<std::string> keys;
  for (int i = 0; i < 200; ++i) {
    const std::string key = make_key();
    EXPECT_EQ(key.size(), 51u);
    EXPECT_TRUE(key.starts_with("sk-weir-")) << key;
    EXPECT_EQ(key.find_first_not_of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 8),
              std::string::npos)
        << key;
    keys.insert(key);
  }
  EXPECT_EQ(keys.size(), 200u);
}

TEST(KeyMaker, HashesAsTheConfigurationWantsIt) {
  EXPECT_EQ(hash_key("abc"), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  std::array<std::uint8_t, 32> hash{};
  ASSERT_TRUE(parse_key_hash(hash_key("abc"), hash));
  EXPECT_EQ(format_key_hash(hash), hash_key("abc"));
}

TEST(KeyHash, IsReadStrictly) {
  std::array<std::uint8_t, 32> hash{};
  const std::string digits(64, 'a');
  EXPECT_TRUE(parse_key_hash("sha256:" + digits, hash));
  EXPECT_TRUE(parse_key_hash("sha256:" + std::string(64, 'F'), hash));
  for (const std::string& text :
       {digits, "sha256:" + digits + "a", "sha256:" + digits.substr(1), "sha512:" + digits,
        "sha256:" + digits.substr(1) + "g", "SHA256:" + digits, std::string("sha256:"), std::string()}) {
    hash.fill(7);
    EXPECT_FALSE(parse_key_hash(text, hash)) << text;
    EXPECT_EQ(hash[0], 7) << "left alone";
  }
}

TEST(Machine, AQuotaIsANumberOfCpusRoundedUp) {
  EXPECT_EQ(cpus_of_quota("200000 100000"), 2u);
  EXPECT_EQ(cpus_of_quota("150000 100000"), 2u);
  EXPECT_EQ(cpus_of_quota("100001 100000"), 2u);
  EXPECT_EQ(cpus_of_quota("50000 100000"), 1u);
  EXPECT_EQ(cpus_of_quota("1000 100000\n"), 1u);
  for (const char* text : {"max 100000", "-1 100000", "", "100000", "100000 0", "a b", "99999999999999999999 1"})
    EXPECT_EQ(cpus_of_quota(text), std::nullopt) << text;
}

TEST(Machine, HasAtLeastOneWorker) {
  EXPECT_GE(default_workers(), 1u);
}

TEST(Nearest, IsTheWordThatTakesTheFewestEdits) {
  const std::vector<std::string> words{"wait_max", "requests_max", "bytes_max", "connect"};
  const std::pair<const char*, const char*> cases[] = {{"wait_mx", "wait_max"},
                                                       {"max_wait", "wait_max"},
                                                       {"request_max", "requests_max"},
                                                       {"conect", "connect"},
                                                       {"connect_timeout", "connect"},
                                                       {"byte", "bytes_max"},
                                                       {"colour", ""},
                                                       {"x", ""},
                                                       {"", ""}};
  for (const auto& [word, meant] : cases) EXPECT_EQ(nearest(word, words), meant) << word;
  EXPECT_EQ(nearest(std::string(100'000, 'a'), words), "");
  EXPECT_EQ(nearest("anything", {}), "");
  EXPECT_EQ(nearest("b", {"a"}), "") << "nothing of it is the same";
}

TEST(Suggestion, NamesTheNearestOrAllOfAFew) {
  EXPECT_EQ(suggestion("wait_mx", {"wait_max"}), " (did you mean 'wait_max'?)");
  EXPECT_EQ(suggestion("zzz", {"one", "two"}), " (known: one, two)");
  EXPECT_EQ(suggestion("zzz", {}), "");
  EXPECT_EQ(suggestion("zzzzzz", std::vector<std::string>(33, "one")), "");
}

TEST(Problems, AreShownInTheOrderOfTheirPlaces) {
  EXPECT_EQ(to_string(Problems{{{"b.yaml", 1, 1}, "third"},
                               {{"a.yaml", 10, 1}, "second"},
                               {{"a.yaml", 9, 5}, "first"},
                               {{"c", 0, 0}, "fourth"},
                               {{"", 0, 0}, "nowhere"}}),
            "nowhere\na.yaml:9:5: first\na.yaml:10:1: second\nb.yaml:1:1: third\nc: fourth\n");
}

TEST(Words, EachStandsForOneValue) {
  EXPECT_EQ(word_of(client_mode_words(), proxy::ClientMode::pass_through), "pass-through");
  EXPECT_EQ(word_of(auth_words(), proxy::AuthStyle::api_key_header), "api-key");
  EXPECT_EQ(word_of(parameter_action_words(), proxy::ParameterAction::drop), "drop");
  EXPECT_EQ(word_of(log_format_words(), LogFormat::automatic), "auto");
  EXPECT_EQ(word_of(log_stream_words(), LogStream::standard_output), "stdout");
}

}  // namespace
}  // namespace weir::app
