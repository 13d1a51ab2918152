// Judges the estimate by the texts that were not fitted, and measures its speed.
//   judge FOLDER/judge.jsonl
// Prints three tables in Markdown: relative errors per kind of text before anything is learned, after 20 corrections,
// and the speed of reading.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "corpus.hpp"
#include "protocol/token_estimator.hpp"

namespace {

using namespace weir::protocol;

constexpr int corrections = 20;
constexpr int rounds = 8;  // drawings of the 20 texts
const char* const models[] = {"gpt-4o", "gpt-4", "deepseek-r1", "qwen3"};

double quantile(std::vector<double> values, double part) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<std::size_t>(part * static_cast<double>(values.size())))];
}

// What the targets are about.
const std::set<std::string> asked_kinds{"english", "chinese", "japanese", "german",      "code",
                                        "json",    "base64",  "mixture",  "long mixture"};

struct Errors {
  std::vector<double> all, asked;
  std::map<std::string, std::vector<double>> by_kind;
  std::size_t above_upper = 0;

  void add(const CountedText& text, const PromptEstimate& estimate, std::size_t family) {
    const double error = std::abs(static_cast<double>(estimate.input) / text.counts[family] - 1);
    all.push_back(error);
    if (asked_kinds.count(text.kind) != 0) asked.push_back(error);
    by_kind[text.kind].push_back(error);
    above_upper += text.counts[family] > static_cast<double>(estimate.upper);
  }
};

void print(const char* title, const Errors (&errors)[fitted_family_count]) {
  std::printf("\n%s\n\n| texts | n ", title);
  for (std::size_t family = 0; family < fitted_family_count; ++family)
    std::printf("| %s ", std::string(name_of(static_cast<TokenizerFamily>(family))).c_str());
  std::printf("|\n|---|--:|--:|--:|--:|--:|\n");
  const auto cell = [](const std::vector<double>& values) {
    std::printf("| %.1f · %.1f ", 100 * quantile(values, 0.5), 100 * quantile(values, 0.95));
  };
  for (const auto& [kind, values] : errors[0].by_kind) {
    std::printf("| %s | %zu ", kind.c_str(), values.size());
    for (const Errors& family : errors) cell(family.by_kind.at(kind));
    std::printf("|\n");
  }
  std::printf("| **the kinds of the targets** | %zu ", errors[0].asked.size());
  for (const Errors& family : errors) cell(family.asked);
  std::printf("|\n| **all** | %zu ", errors[0].all.size());
  for (const Errors& family : errors) cell(family.all);
  std::printf("|\n| above the upper bound, %% | ");
  for (const Errors& family : errors)
    std::printf("| %.2f ", 100 * static_cast<double>(family.above_upper) / static_cast<double>(family.all.size()));
  std::printf("|\n");
}

void judge_untaught(const std::vector<CountedText>& texts) {
  Errors errors[fitted_family_count];
  const TokenEstimator estimator;
  for (std::size_t family = 0; family < fitted_family_count; ++family) {
    for (const CountedText& text : texts)
      errors[family].add(text, estimator.estimate_text(text.text, models[family]), family);
  }
  print("Error before anything is learned, % (median · 95th percentile)", errors);
}

// 20 texts at random are corrected, then the other texts are judged; the corrections stay as they are.
// `kind` empty: texts of all kinds.
void teach_and_judge(const std::vector<const CountedText*>& texts, const char* model, std::size_t family,
                     std::mt19937& rng, Errors& errors) {
  std::vector<const CountedText*> order = texts;
  std::shuffle(order.begin(), order.end(), rng);
  TokenEstimator estimator;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const PromptEstimate estimate = estimator.estimate_text(order[i]->text, model);
    if (i < corrections)
      estimator.learn(model, estimate, static_cast<std::uint64_t>(order[i]->counts[family]));
    else
      errors.add(*order[i], estimate, family);
  }
}

enum class Traffic { of_one_kind, mixed };

// `known`: the name says which tokenizer it is; otherwise it is taken for an unknown model.
void judge_taught(const std::vector<CountedText>& texts, Traffic traffic, bool known, const char* title) {
  Errors errors[fitted_family_count];
  std::mt19937 rng(7);
  for (std::size_t family = 0; family < fitted_family_count; ++family) {
    std::map<std::string, std::vector<const CountedText*>> groups;
    for (const CountedText& text : texts) groups[traffic == Traffic::mixed ? "" : text.kind].push_back(&text);
    for (int round = 0; round < rounds; ++round) {
      for (const auto& [kind, group] : groups)
        teach_and_judge(group, known ? models[family] : "house-model", family, rng, errors[family]);
    }
  }
  print(title, errors);
}

double megabytes_per_second(const std::string& body, RequestReader& reader) {
  std::string padded = body;
  padded.append(RequestReader::padding, 32);
  const std::string_view whole(padded.data(), body.size());
  const auto view = std::get<RequestView>(reader.read(whole, Api::chat, {}));
  const TokenEstimator estimator;
  std::uint64_t sum = 0;
  double best = 1e9;
  for (int round = 0; round < 7; ++round) {
    const int times = static_cast<int>(20'000'000 / body.size()) + 1;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < times; ++i) sum += estimator.estimate(whole, view, "deepseek-r1").input;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count() / times);
  }
  if (sum == 0) std::printf("?");
  std::printf("| %.2f ", best * 1e6);
  return static_cast<double>(body.size()) / best / 1e6;
}

std::string json_escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n')
      out += "\\n";
    else if (static_cast<unsigned char>(c) >= 0x20)
      out += c;
  }
  return out;
}

void measure_speed(const std::vector<CountedText>& texts) {
  std::printf(
      "\nSpeed of `estimate` on one core, whole chat bodies\n\n| text | bytes | µs | MB/s of the body "
      "|\n|---|--:|--:|--:|\n");
  RequestReader reader;
  for (const char* kind : {"english", "code", "json", "chinese", "russian", "base64"}) {
    for (const std::size_t size : {500U, 8'000U, 60'000U, 1'000'000U}) {
      std::string text;
      for (std::size_t i = 0; text.size() < size; ++i) {
        if (texts[i % texts.size()].kind == kind) text += texts[i % texts.size()].text;
      }
      while (text.size() > size && (static_cast<unsigned char>(text.back()) & 0xC0U) == 0x80U) text.pop_back();
      text.resize(std::min(text.size(), size));
      while (!text.empty() && static_cast<unsigned char>(text.back()) >= 0x80U) text.pop_back();
      const std::string body = R"({"model":"m","messages":[{"role":"user","content":")" + json_escaped(text) + "\"}]}";
      std::printf("| %s | %zu ", kind, body.size());
      std::printf("| %.0f |\n", megabytes_per_second(body, reader));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: judge FOLDER/judge.jsonl\n"), 2;
  const std::vector<CountedText> texts = read_corpus(argv[1]);
  judge_untaught(texts);
  judge_taught(texts, Traffic::mixed, true, "After 20 corrections by texts of all kinds");
  judge_taught(texts, Traffic::of_one_kind, true, "After 20 corrections by texts of the same kind");
  judge_taught(texts, Traffic::of_one_kind, false,
               "A model of unknown family, after 20 corrections by texts of the same kind");
  measure_speed(texts);
  return 0;
}
