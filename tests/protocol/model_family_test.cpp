#include "protocol/model_family.hpp"

#include <gtest/gtest.h>

#include <string>

namespace weir::protocol {
namespace {

TEST(ModelFamily, IsKnownByWordsOfTheName) {
  const std::pair<const char*, const char*> expected[] = {{"gpt-4o", "o200k"},
                                                          {"gpt-4o-mini-2024-07-18", "o200k"},
                                                          {"openai/gpt-4.1", "o200k"},
                                                          {"gpt-5-nano", "o200k"},
                                                          {"o1", "o200k"},
                                                          {"o3-mini", "o200k"},
                                                          {"openai/o4-mini", "o200k"},
                                                          {"ft:gpt-4o:acme:x", "o200k"},
                                                          {"gpt-oss-120b", "o200k"},
                                                          {"gpt-4", "cl100k"},
                                                          {"gpt-4-turbo", "cl100k"},
                                                          {"gpt-35-turbo", "cl100k"},
                                                          {"gpt-3.5-turbo", "cl100k"},
                                                          {"text-embedding-3-large", "cl100k"},
                                                          {"deepseek-r1-250528", "deepseek"},
                                                          {"DeepSeek-V3", "deepseek"},
                                                          {"deepseek/deepseek-chat", "deepseek"},
                                                          {"deepseek-r1-distill-qwen-32b", "qwen"},
                                                          {"Qwen/Qwen3-32B", "qwen"},
                                                          {"qwq-32b", "qwen"},
                                                          {"claude-sonnet-4", "generic"},
                                                          {"doubao-pro", "generic"},
                                                          {"ep-20250601-abcde", "generic"},
                                                          {"", "generic"},
                                                          {"solo1-base", "generic"},
                                                          {"foo3-bar", "generic"}};
  for (const auto& [model, family] : expected) EXPECT_EQ(name_of(family_of_model(model)), family) << model;
}

}  // namespace
}  // namespace weir::protocol
