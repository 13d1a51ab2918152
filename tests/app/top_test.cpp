#include "app/top.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

namespace weir::app {
namespace {

TopFigures calm() {
  TopFigures figures;
  figures.status =
      R"({"version":"weir 1.2.3","now":1000,"started":900,"step_seconds":5,"spent":[],"errors":[],"steps":[)"
      R"({"at":990,"input_tokens":50000,"output_tokens":500},{"at":995,"input_tokens":0,"output_tokens":0}]})";
  figures.queue = R"({"waiting":0,"running":2,"requests":[]})";
  figures.budgets = R"({"budgets":[{"scope":"upstream","name":"ark-1","window_ms":60000,"meters":{)"
                    R"("tpm":{"limit":5000000,"used":2000000,"reserved":500000,"debt":0,"full_in_ms":0}}}]})";
  figures.upstreams = R"({"upstreams":[{"name":"ark-1","state":"closed"}]})";
  return figures;
}

TEST(Top, ShowsWhatRunsAndHowFullTheBudgetsAre) {
  const std::string screen = render_top(calm(), 120, 40);
  EXPECT_NE(screen.find("weir 1.2.3, up 1m40s: "), std::string::npos) << screen;
  EXPECT_NE(screen.find("2 running, 0 waiting, 10.0k tokens/s in, 100 out"), std::string::npos) << screen;
  EXPECT_NE(screen.find("upstream ark-1               tpm          [############............] 2.50M of 5.00M"),
            std::string::npos)
      << screen;
}

TEST(Top, ShowsNoGaugeOfLimitsThatEachCallerHas) {
  TopFigures figures = calm();
  figures.budgets = R"({"budgets":[{"of_each_caller":true,"scope":"upstream","name":"ark-1","window_ms":60000,)"
                    R"("meters":{"tpm":{"limit":5000000,"used":0,"reserved":0,"debt":0,"full_in_ms":0}}}]})";
  const std::string screen = render_top(figures, 120, 40);
  EXPECT_NE(screen.find("upstream ark-1               tpm          5.00M for each caller's own account"),
            std::string::npos)
      << screen;
}

TEST(Top, SaysWhyEachRequestWaits) {
  TopFigures figures = calm();
  figures.queue = R"({"waiting":1,"running":0,"requests":[{"key":"alice","lane":"job-1","upstream":"ark-1",)"
                  R"("waited_ms":4200,"starts_in_ms":8100,"id":"req_1","why":"Waits for tokens per minute."}]})";
  const std::string screen = render_top(figures, 160, 40);
  EXPECT_NE(
      screen.find("alice              job-1              ark-1          4s       8s         req_1                  "
                  "      Waits for tokens per minute."),
      std::string::npos)
      << screen;
}

TEST(Top, CutsNothingWhereThereIsNoScreen) {
  TopFigures figures = calm();
  const std::string long_name(40, 'n'), long_id(60, 'i'), why = "It waits for " + std::string(300, 'w') + ".";
  std::string requests;
  for (int i = 0; i < 500; ++i)
    requests += R"({"key":")" + long_name + R"(","lane":"job-1","upstream":"ark-1","waited_ms":1,"starts_in_ms":1,)" +
                R"("id":")" + long_id + R"(","why":")" + why + R"("},)";
  requests.pop_back();
  figures.queue = R"({"waiting":500,"running":0,"requests":[)" + requests + "]}";
  const std::string screen = render_top(figures, unbounded, unbounded);
  const std::string row = long_name + " job-1              ark-1          1ms      1ms        " + long_id + " " + why;
  EXPECT_NE(screen.find("500 requests are waiting. Next, " + long_name + ": " + why + "\n"), std::string::npos)
      << screen;
  const auto first = screen.find("\n" + row + "\n");
  ASSERT_NE(first, std::string::npos) << screen;
  EXPECT_EQ(std::count(screen.begin() + static_cast<std::ptrdiff_t>(first), screen.end(), '\n'), 501);
}

TEST(Top, AnswersFirstWhyTheNextOneWaits) {
  TopFigures figures = calm();
  EXPECT_LT(render_top(figures, 120, 40).find("Nothing is waiting.\n"), render_top(figures, 120, 40).find("ark-1"));
  figures.queue = R"({"waiting":2,"running":0,"requests":[{"key":"alice","why":"It waits for tokens."},)"
                  R"({"key":"bob","why":"It waits behind 1 other."}]})";
  const std::string screen = render_top(figures, 120, 40);
  const auto why = screen.find("2 requests are waiting. Next, alice: It waits for tokens.\n");
  ASSERT_NE(why, std::string::npos) << screen;
  EXPECT_LT(why, screen.find("ark-1"));
}

TEST(Top, ShowsTheLastFifteenMinutesAsBars) {
  TopFigures figures = calm();
  figures.status =
      R"({"version":"weir 1.2.3","now":1000,"started":900,"step_seconds":5,"spent":[],"errors":[],"steps":[)"
      R"({"at":980,"input_tokens":40,"output_tokens":10,"wait_max_s":0},)"
      R"({"at":985,"input_tokens":0,"output_tokens":0,"wait_max_s":30.5},)"
      R"({"at":990,"input_tokens":0,"output_tokens":100,"wait_max_s":0.1}]})";
  const std::string screen = render_top(figures, 120, 40);
  EXPECT_NE(screen.find("tokens a second, 15 min      |▄ █| at most 20\n"), std::string::npos) << screen;
  EXPECT_NE(screen.find("wait in line, 15 min         | █▁| at most 30s\n"), std::string::npos) << screen;
}

TEST(Top, ShowsWhatWasSpentByKeyAndModel) {
  TopFigures figures = calm();
  figures.status =
      R"({"version":"weir 1.2.3","now":1000,"started":900,"step_seconds":5,"errors":[],"steps":[],"spent":[)"
      R"({"key":"alice","model":"deepseek-chat","requests":12,"input_tokens":20000,"output_tokens":800,)"
      R"("cost":1.25,"currency":"CNY"},)"
      R"({"key":"bob","model":"own","requests":1,"input_tokens":8,"output_tokens":1,"cost":null,"currency":""}]})";
  const std::string screen = render_top(figures, 120, 40);
  EXPECT_NE(screen.find("alice              deepseek-chat                12        20.0k     800       1.25 CNY\n"),
            std::string::npos)
      << screen;
  EXPECT_NE(
      screen.find("bob                own                          1         8         1         price not known\n"),
      std::string::npos)
      << screen;
}

TEST(Top, ShowsWhatWasLearnedOfAnUpstream) {
  TopFigures figures = calm();
  figures.upstreams = R"({"upstreams":[{"name":"ark-1","state":"closed","state_words":"ark-1 is ready.",)"
                      R"("learned":[{"words":"ark-1: concurrency at most 46, since it turned calls away."}]}]})";
  const std::string screen = render_top(figures, 120, 40);
  const auto ready = screen.find("ark-1 is ready.\n"), learned = screen.find("ark-1: concurrency at most 46");
  ASSERT_NE(learned, std::string::npos) << screen;
  EXPECT_LT(ready, learned);
}

// The bug: forty budgets in the order of the configuration filled the screen, and the full one, the account and who
// waited were below it.
TEST(Top, ShowsTheFullestBudgetsAndLeavesRoomForTheRest) {
  TopFigures figures = calm();
  std::string budgets, requests;
  for (int i = 0; i < 40; ++i) {
    budgets += R"({"scope":"key","name":"k)" + std::to_string(i) +
               R"(","window_ms":60000,"meters":{"tpm":{"limit":100,"used":)" + (i == 39 ? "100" : "0") +
               R"(,"reserved":0,"debt":0,"full_in_ms":0}}},)";
    requests += R"({"key":"k)" + std::to_string(i) + R"(","waited_ms":1,"starts_in_ms":1,"why":"because"},)";
  }
  budgets.pop_back();
  requests.pop_back();
  figures.budgets = R"({"budgets":[)" + budgets + "]}";
  figures.queue = R"({"waiting":40,"running":0,"requests":[)" + requests + "]}";
  figures.upstreams =
      R"({"upstreams":[{"name":"well","state":"closed"},{"name":"fine","state":"closed"},)"
      R"({"name":"good","state":"closed"},{"name":"gone","state":"open","state_words":"gone failed."}]})";
  figures.status =
      R"({"version":"weir 1.2.3","now":1000,"started":900,"step_seconds":5,"spent":[],"steps":[],"errors":[)"
      R"({"at":990,"code":"weir_deadline","words":"too late"},{"at":980,"code":"a","words":"b"}]})";
  const std::string screen = render_top(figures, 100, 23);
  EXPECT_EQ(std::count(screen.begin(), screen.end(), '\n'), 23) << screen;
  EXPECT_NE(screen.find("\nkey k39                      tpm          [########################] 100 of 100\n"),
            std::string::npos)
      << screen;
  EXPECT_NE(screen.find("\nand 34 more\n\nupstream gone"), std::string::npos) << screen;
  EXPECT_NE(screen.find("weir_deadline: too late\n"), std::string::npos) << screen;
  EXPECT_NE(screen.find("\nIN LINE: KEY"), std::string::npos) << screen;
  EXPECT_NE(screen.find("\nk0  "), std::string::npos) << screen;
  EXPECT_TRUE(screen.ends_with(" more\n")) << screen;
  const std::string whole = render_top(figures, unbounded, unbounded);
  EXPECT_EQ(whole.find(" more\n"), std::string::npos);
  EXPECT_LT(whole.find("key k0 "), whole.find("key k39 ")) << "all of them stand in their order";
}

TEST(Top, StaysWithinItsScreenAndShowsNoControlCharacters) {
  TopFigures figures = calm();
  std::string requests;
  for (int i = 0; i < 100; ++i)
    requests +=
        R"({"key":"a\u001b[31mb","lane":"\u4e2d\u6587","upstream":"x","waited_ms":1,"starts_in_ms":1,"why":"because"},)";
  requests.pop_back();
  figures.queue = R"({"waiting":100,"running":0,"requests":[)" + requests + "]}";
  const std::string screen = render_top(figures, 60, 20);
  EXPECT_EQ(std::count(screen.begin(), screen.end(), '\n'), 20);
  EXPECT_EQ(screen.find('\x1b'), std::string::npos);
  EXPECT_NE(screen.find("a?[31mb"), std::string::npos) << screen;
}

TEST(Top, RefusesWhatNoWeirAnswers) {
  TopFigures figures = calm();
  figures.queue = "<html>";
  EXPECT_THROW(render_top(figures, 80, 20), std::runtime_error);
  figures.queue = "{}";
  EXPECT_THROW(render_top(figures, 80, 20), std::runtime_error);
}

}  // namespace
}  // namespace weir::app
