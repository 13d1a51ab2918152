// What of YAML is understood, and that hostile or broken documents end in one clear sentence.
#include <gtest/gtest.h>

#include "app/config_support.hpp"
#include "app/yaml_tree.hpp"

namespace weir::app {
namespace {

std::string problems_of(std::string_view text) {
  Problems problems;
  parse_yaml(text, "weir.yaml", problems);
  return to_string(problems);
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string result;
  for (std::size_t i = 0; i < times; ++i) result += text;
  return result;
}

struct YamlCase {
  const char* name;
  const char* yaml;
  const char* begins;  // the rest of a syntax error is in the words of the YAML library
};

class BrokenYaml : public testing::TestWithParam<YamlCase> {};

TEST_P(BrokenYaml, IsRefusedOnceWithItsPlace) {
  const std::string problems = read(GetParam().yaml).problems;
  EXPECT_TRUE(problems.starts_with(GetParam().begins)) << problems;
  EXPECT_EQ(problems.find('\n'), problems.size() - 1) << problems;
}

constexpr YamlCase broken[] = {
    {"OpenList", "listen: [localhost:8080\nqueue: {}\n", "weir.yaml:2:6: invalid YAML: "},
    {"OpenQuote", "listen: \"localhost\nqueue: {}\n", "weir.yaml:1:9: "},
    {"TabForIndentation", "queue:\n\twait_max: 5m\n", "weir.yaml:2:10: invalid YAML: "},
    {"DeeperThanItsSiblings", "queue:\n  wait_max: 5m\n    requests_max: 5\n", "weir.yaml:3:17: invalid YAML: "},
    {"ShallowerThanItsSiblings", "queue:\n    wait_max: 5m\n  requests_max: 5\n", "weir.yaml:3:3: invalid YAML: "},
    {"UnknownAlias", "queue: *nothing\n", "weir.yaml:1:8: invalid YAML: "},
    {"AliasInsideItsAnchor", "tiers: &t {a: *t}\n", "weir.yaml:1:15: an alias cannot stand inside its own anchor"},
    {"TwoDocuments", "workers: 1\n---\nworkers: 2\n", "weir.yaml: the file holds more than one YAML document"},
    {"BareInterpolationInAFlowMap", "operator: {token: ${X}}\n", "weir.yaml:1:20: "},
};
INSTANTIATE_TEST_SUITE_P(Documents, BrokenYaml, testing::ValuesIn(broken),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(BrokenYaml, SaysThatABareInterpolationNeedsQuotes) {
  EXPECT_NE(read("operator: {token: ${X}}\n").problems.find("an interpolation needs quotes: \"${X}\""),
            std::string::npos);
  EXPECT_NE(read("clients: {hosts: [${X}]}\n").problems.find("an interpolation needs quotes: \"${X}\""),
            std::string::npos);
}

TEST(BrokenYaml, SaysThatATabIsNoIndentation) {
  const std::string hint = " (YAML wants spaces at the beginning of a line, no tabs)\n";
  for (const char* yaml : {"queue:\n\twait_max: 5m\n", "upstreams:\n  \t- name: a\n"})
    EXPECT_TRUE(read(yaml).problems.ends_with(hint)) << read(yaml).problems;
  EXPECT_FALSE(read("listen: [a\tb\n").problems.ends_with(hint));
}

TEST(YamlTree, AliasesStandForTheValueOfTheirAnchor) {
  const Config config = config_of("tiers:\n  a: &small {rpm: 5, tpm: 100}\n  b: *small\n");
  EXPECT_EQ(config.tiers.at("b").rpm, 5u);
  EXPECT_EQ(config.tiers.at("b").tpm, 100u);
}

TEST(YamlTree, MergeKeysAreRefusedByName) {
  EXPECT_EQ(read("tiers:\n  a: &small {rpm: 5}\n  b:\n    <<: *small\n    tpm: 5\n").problems,
            "weir.yaml:4:5: merge keys ('<<') are not understood: write the settings out, or use an alias for a whole "
            "value\n");
}

TEST(YamlTree, QuotedWordsAreTexts) {
  EXPECT_EQ(config_of("state_file: \"null\"\n").state_file, "null");
  EXPECT_EQ(config_of("state_file: '~'\n").state_file, "~");
}

TEST(YamlTree, RefusesDeepNestingBeforeItCosts) {
  for (const std::size_t depth : {33u, 1000u, 100'000u}) {
    EXPECT_EQ(problems_of("a: " + repeated("[", depth)), "weir.yaml: invalid YAML: it is nested deeper than 32\n")
        << depth;
    EXPECT_EQ(problems_of(repeated("{a: ", depth)), "weir.yaml: invalid YAML: it is nested deeper than 32\n") << depth;
    EXPECT_EQ(problems_of(repeated("- ", depth) + "a"), "weir.yaml: invalid YAML: it is nested deeper than 32\n")
        << depth;
  }
  EXPECT_EQ(problems_of(repeated("[", 32) + repeated("]", 32)), "");
}

TEST(YamlTree, RefusesAliasesThatMultiply) {
  std::string yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string alias = "*a" + std::to_string(i - 1);
    yaml += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + alias + repeated(", " + alias, 9) + "]\n";
  }
  EXPECT_EQ(problems_of(yaml), "weir.yaml: invalid YAML: its anchors and aliases stand for more than 200000 values\n");
}

TEST(YamlTree, RefusesHugeFilesAndBinaryOnes) {
  EXPECT_EQ(problems_of(std::string((16u << 20) + 1, ' ')), "weir.yaml: the file is larger than 16 MiB\n");
  EXPECT_EQ(problems_of(std::string_view("a: 1\0", 5)), "weir.yaml: not a YAML file: it has NUL bytes in it\n");
}

TEST(YamlTree, RemembersWhereKeysAndValuesStood) {
  Problems problems;
  const YamlNode tree = parse_yaml("a: 1\nlist:\n  - x\n  - {b: 2}\n", "weir.yaml", problems);
  EXPECT_EQ(to_string(problems), "");
  ASSERT_EQ(tree.children.size(), 2u);
  EXPECT_EQ(to_string(tree.children[0].key_place), "weir.yaml:1:1");
  EXPECT_EQ(to_string(tree.children[0].place), "weir.yaml:1:4");
  ASSERT_EQ(tree.children[1].children.size(), 2u);
  EXPECT_EQ(to_string(tree.children[1].children[0].place), "weir.yaml:3:5");
  EXPECT_EQ(to_string(tree.children[1].children[1].children.at(0).place), "weir.yaml:4:9");
}

TEST(YamlTree, WindowsLineEndsAndByteOrderMarksDoNotMatter) {
  const Config config = config_of("\xEF\xBB\xBFworkers: 3\r\nqueue:\r\n  wait_max: 5s\r\n");
  EXPECT_EQ(config.workers, 3u);
  EXPECT_EQ(config.queue.wait_max, 5s);
}

}  // namespace
}  // namespace weir::app
