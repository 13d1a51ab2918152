#include "app/top.hpp"

#include <simdjson.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "app/ask_operator.hpp"

namespace weir::app {
namespace {

using simdjson::dom::element;

std::string amount(double value) {
  std::array<char, 32> text{};
  if (value >= 1e6) {
    std::snprintf(text.data(), text.size(), "%.2fM", value / 1e6);
  } else if (value >= 1e4) {
    std::snprintf(text.data(), text.size(), "%.1fk", value / 1e3);
  } else {
    std::snprintf(text.data(), text.size(), "%.0f", value);
  }
  return text.data();
}

std::string duration(std::int64_t ms) {
  if (ms < 1000) return std::to_string(ms) + "ms";
  if (ms < 100'000) return std::to_string(ms / 1000) + "s";
  return std::to_string(ms / 60'000) + "m" + std::to_string(ms / 1000 % 60) + "s";
}

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

// At most so many characters; names come from outside, control characters stay there.
std::string cut(std::string_view text, std::size_t columns) {
  std::string out;
  std::size_t shown = 0;
  for (const char c : text) {
    if (!continues(c) && shown++ >= columns) break;
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  return out;
}

// At least so many.
std::string pad(std::string text, std::size_t columns) {
  const auto shown =
      static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
  if (shown < columns) text.append(columns - shown, ' ');
  return text;
}

std::string bar(double share, std::size_t width) {
  const auto full = static_cast<std::size_t>(std::lround(std::clamp(share, 0.0, 1.0) * static_cast<double>(width)));
  std::string drawn(full, '#');
  drawn.append(width - full, '.');
  return '[' + drawn + ']';
}

std::string text_of(const element& object, std::string_view name) {
  std::string_view text;
  return object[name].get(text) == simdjson::SUCCESS ? std::string(text) : std::string();
}

std::int64_t number_of(const element& object, std::string_view name) {
  std::int64_t number = 0;
  return object[name].get(number) == simdjson::SUCCESS ? number : 0;
}

// Whatever kind of number it is; not there or null: nothing.
std::optional<double> figure_of(const element& object, std::string_view name) {
  double figure = 0;
  if (object[name].get(figure) != simdjson::SUCCESS) return std::nullopt;
  return figure;
}

simdjson::dom::array elements_of(const element& object, std::string_view name) {
  simdjson::dom::array list;
  if (object[name].get(list) != simdjson::SUCCESS)
    throw std::runtime_error("the answer has no list '" + std::string(name) + "'");
  return list;
}

// A part of the screen: a heading and rows. Where there is no room for all of them the weightiest are shown.
class Part {
 public:
  Part(std::size_t columns, std::size_t least) : columns_(columns), least_(least) {}
  void heading(std::string_view text) { headings_.push_back(fit(text)); }
  void line(std::string_view text, double weight = 0) { rows_.push_back({weight, fit(text)}); }
  // One of several in a line: as wide as the others of its column. Where a line is not cut, no cell is.
  std::string cell(std::string_view text, std::size_t width) const {
    return pad(cut(text, columns_ == unbounded ? unbounded : width), width);
  }

  // Takes what it cannot do without of the lines that are `left`, or as many as it can use up to `most`.
  void take_least(std::size_t& left) { take(left, least_); }
  void take_more(std::size_t& left, std::size_t most = unbounded) { take(left, most); }
  void take_all_or_nothing(std::size_t& left) {
    if (lines() <= left) take(left, unbounded);
  }
  void write_to(std::string& out) {
    if (taken_ < lines() && taken_ <= headings_.size()) return;
    for (const std::string& heading : headings_) out += heading;
    std::size_t shown = rows_.size();
    if (taken_ < lines()) {
      std::stable_sort(rows_.begin(), rows_.end(), [](const Row& a, const Row& b) { return a.weight > b.weight; });
      shown = taken_ - headings_.size() - 1;
    }
    for (std::size_t i = 0; i < shown; ++i) out += rows_[i].text;
    if (shown < rows_.size()) out += fit("and " + std::to_string(rows_.size() - shown) + " more");
  }

 private:
  struct Row {
    double weight;
    std::string text;
  };
  std::size_t lines() const { return headings_.size() + rows_.size(); }
  void take(std::size_t& left, std::size_t most) {
    const std::size_t more = std::min(left, std::max(taken_, std::min(lines(), most)) - taken_);
    taken_ += more;
    left -= more;
  }
  std::string fit(std::string_view text) const {
    std::string shown = cut(text, columns_);
    shown.erase(shown.find_last_not_of(' ') + 1);
    return shown + "\n";
  }

  std::size_t columns_, least_;
  std::vector<std::string> headings_;
  std::vector<Row> rows_;
  std::size_t taken_ = 0;
};

void show_budgets(Part& part, const element& budgets) {
  for (const element budget : elements_of(budgets, "budgets")) {
    simdjson::dom::object meters;
    if (budget["meters"].get(meters) != simdjson::SUCCESS) continue;
    // Where callers bring accounts of their own, nothing is spent of the upstream's: it says what each of them has.
    bool of_each_caller = false;
    if (budget["of_each_caller"].get(of_each_caller) != simdjson::SUCCESS) of_each_caller = false;
    for (const auto& [meter, view] : meters) {
      const auto limit = static_cast<double>(number_of(view, "limit"));
      const std::string name = part.cell(text_of(budget, "scope") + " " + text_of(budget, "name"), 28);
      if (of_each_caller) {
        part.line(name + " " + part.cell(meter, 12) + " " + amount(limit) + " for each caller's own account", -1);
        continue;
      }
      const auto taken = static_cast<double>(number_of(view, "used") + number_of(view, "reserved"));
      const std::int64_t debt = number_of(view, "debt");
      const double share = taken / std::max(1.0, limit);
      part.line(name + " " + part.cell(meter, 12) + " " + bar(share, 24) + " " + amount(taken) + " of " +
                    amount(limit) + (debt > 0 ? ", " + amount(static_cast<double>(debt)) + " owed" : ""),
                share);
    }
  }
}

// First of all: who waits, and why.
void show_why(Part& part, const element& queue) {
  const std::int64_t waiting = number_of(queue, "waiting");
  std::string text = waiting == 0   ? "Nothing is waiting."
                     : waiting == 1 ? "One request is waiting."
                                    : std::to_string(waiting) + " requests are waiting.";
  for (const element first : elements_of(queue, "requests")) {
    const std::string key = text_of(first, "key");
    text += " Next, " + (key.empty() ? "a caller" : key) + ": " + text_of(first, "why");
    break;
  }
  part.line(text);
  part.line("");
}

// A bar for every so many steps, as high as the highest of them.
std::string bars(const std::vector<double>& steps, double highest, std::size_t width) {
  static constexpr std::array<std::string_view, 9> heights{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const std::size_t each = std::max<std::size_t>(1, (steps.size() + width - 1) / width);
  std::string out;
  for (std::size_t i = 0; i < steps.size(); i += each) {
    const auto end = std::min(steps.size(), i + each);
    const double value = *std::max_element(steps.begin() + static_cast<std::ptrdiff_t>(i),
                                           steps.begin() + static_cast<std::ptrdiff_t>(end));
    // Whatever is not nothing is seen.
    const double share = highest > 0 ? std::ceil(8 * value / highest) : 0;
    out += heights[static_cast<std::size_t>(std::clamp(share, 0.0, 8.0))];
  }
  return out;
}

void show_charts(Part& part, const element& status) {
  std::vector<double> tokens, waits;
  const auto span = static_cast<double>(std::max<std::int64_t>(1, number_of(status, "step_seconds")));
  for (const element step : elements_of(status, "steps")) {
    tokens.push_back(static_cast<double>(number_of(step, "input_tokens") + number_of(step, "output_tokens")) / span);
    waits.push_back(figure_of(step, "wait_max_s").value_or(0));
  }
  if (tokens.empty()) return;
  part.heading("");
  const double most_tokens = *std::max_element(tokens.begin(), tokens.end());
  const double most_wait = *std::max_element(waits.begin(), waits.end());
  part.line(part.cell("tokens a second, 15 min", 28) + " |" + bars(tokens, most_tokens, 60) + "| at most " +
            amount(most_tokens));
  part.line(part.cell("wait in line, 15 min", 28) + " |" + bars(waits, most_wait, 60) + "| at most " +
            duration(static_cast<std::int64_t>(most_wait * 1000)));
}

void show_spent(Part& part, const element& status) {
  constexpr std::size_t shown_max = 8;
  const auto spent = elements_of(status, "spent");
  if (spent.size() == 0) return;
  part.heading("");
  part.heading(part.cell("SPENT: KEY", 18) + " " + part.cell("MODEL", 28) + " " + part.cell("REQUESTS", 9) + " " +
               part.cell("INPUT", 9) + " " + part.cell("OUTPUT", 9) + " COST");
  std::size_t shown = 0;
  for (const element each : spent) {
    if (++shown > shown_max) return part.line("and " + std::to_string(spent.size() - shown_max) + " more");
    const auto cost = figure_of(each, "cost");
    std::array<char, 48> text{};
    if (cost) std::snprintf(text.data(), text.size(), *cost < 0.01 ? "%.6f " : "%.2f ", *cost);
    const auto count = [&](std::string_view name) {
      return part.cell(amount(static_cast<double>(number_of(each, name))), 9) + " ";
    };
    part.line(part.cell(text_of(each, "key"), 18) + " " + part.cell(text_of(each, "model"), 28) + " " +
              count("requests") + count("input_tokens") + count("output_tokens") +
              (cost ? text.data() + text_of(each, "currency") : std::string("price not known")));
  }
}

void show_queue(Part& part, const element& queue) {
  part.heading("");
  part.heading(part.cell("IN LINE: KEY", 18) + " " + part.cell("LANE", 18) + " " + part.cell("UPSTREAM", 14) + " " +
               part.cell("WAITED", 8) + " " + part.cell("STARTS IN", 10) + " " + part.cell("REQUEST", 28) + " WHY");
  for (const element request : elements_of(queue, "requests")) {
    const std::string key = text_of(request, "key");
    part.line(part.cell(key.empty() ? "open" : key, 18) + " " + part.cell(text_of(request, "lane"), 18) + " " +
              part.cell(text_of(request, "upstream"), 14) + " " +
              part.cell(duration(number_of(request, "waited_ms")), 8) + " " +
              part.cell(duration(number_of(request, "starts_in_ms")), 10) + " " +
              part.cell(text_of(request, "id"), 28) + " " + text_of(request, "why"));
  }
}

// Of the step before the one under way.
void show_speed(Part& part, const element& status, const element& queue) {
  double input = 0, output = 0;
  std::size_t i = 0;
  const auto steps = elements_of(status, "steps");
  for (const element step : steps) {
    if (++i + 1 != steps.size()) continue;
    const auto span = static_cast<double>(std::max<std::int64_t>(1, number_of(status, "step_seconds")));
    input = static_cast<double>(number_of(step, "input_tokens")) / span;
    output = static_cast<double>(number_of(step, "output_tokens")) / span;
  }
  part.line(text_of(status, "version") + ", up " +
            duration((number_of(status, "now") - number_of(status, "started")) * 1000) + ": " +
            std::to_string(number_of(queue, "running")) + " running, " + std::to_string(number_of(queue, "waiting")) +
            " waiting, " + amount(input) + " tokens/s in, " + amount(output) + " out");
  part.line("");
}

void show_upstreams(Part& part, const element& upstreams) {
  part.heading("");
  for (const element upstream : elements_of(upstreams, "upstreams")) {
    const std::string words = text_of(upstream, "state_words"), state = text_of(upstream, "state");
    const double weight = state.empty() || state == "closed" ? 0 : 1;
    part.line(part.cell("upstream " + text_of(upstream, "name"), 28) + " " + (words.empty() ? state : words), weight);
    simdjson::dom::array learned;
    if (upstream["learned"].get(learned) != simdjson::SUCCESS) continue;
    for (const element limit : learned) part.line(part.cell("", 28) + " " + text_of(limit, "words"), weight);
  }
}

void show_errors(Part& part, const element& status) {
  const auto errors = elements_of(status, "errors");
  if (errors.size() == 0) return;
  part.heading("");
  std::size_t shown = 0;
  for (const element error : errors) {
    if (++shown > 5) return;
    part.line(duration((number_of(status, "now") - number_of(error, "at")) * 1000) + " ago, " + text_of(error, "code") +
              ": " + text_of(error, "words"));
  }
}

struct Parsed {
  explicit Parsed(const std::string& text) {
    if (parser.parse(text).get(root) != simdjson::SUCCESS) throw std::runtime_error("the answer is not JSON");
  }
  simdjson::dom::parser parser;
  element root;
};

}  // namespace

std::string render_top(const TopFigures& figures, std::size_t columns, std::size_t lines) {
  const Parsed status(figures.status), queue(figures.queue), budgets(figures.budgets), upstreams(figures.upstreams);
  // Together they can do with a terminal of 24 lines.
  Part top(columns, 4), limits(columns, 7), accounts(columns, 3), charts(columns, 0), spent(columns, 0),
      errors(columns, 3), line(columns, 5);
  show_speed(top, status.root, queue.root);
  show_why(top, queue.root);
  show_budgets(limits, budgets.root);
  show_upstreams(accounts, upstreams.root);
  show_charts(charts, status.root);
  show_spent(spent, status.root);
  show_errors(errors, status.root);
  show_queue(line, queue.root);
  std::size_t left = lines;
  for (Part* part : {&top, &limits, &accounts, &errors, &line}) part->take_least(left);
  accounts.take_more(left);
  charts.take_all_or_nothing(left);
  spent.take_all_or_nothing(left);
  errors.take_more(left);
  limits.take_more(left, lines / 3);
  line.take_more(left);
  limits.take_more(left);
  std::string screen;
  for (Part* part : {&top, &limits, &accounts, &charts, &spent, &errors, &line}) part->write_to(screen);
  return screen;
}

int run_top(const Overrides& overrides, bool once) {
  const auto found = operator_place(overrides);
  if (const auto* problem = std::get_if<std::string>(&found)) {
    std::cerr << "weir top: " << *problem << '\n';
    return 2;
  }
  const auto& [address, token, doubt] = std::get<OperatorPlace>(found);
  if (!doubt.empty()) std::cerr << "weir top: " << doubt << '\n';
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  for (;;) {
    TopFigures figures;
    const std::array<std::pair<const char*, std::string*>, 4> asked{{{"/weir/status", &figures.status},
                                                                     {"/weir/queue", &figures.queue},
                                                                     {"/weir/budgets", &figures.budgets},
                                                                     {"/weir/upstreams", &figures.upstreams}}};
    for (const auto& [path, into] : asked) {
      auto answer = ask_operator(address, {path, token});
      if (const auto* problem = std::get_if<std::string>(&answer)) {
        std::cerr << "weir top: " << *problem << '\n';
        return 1;
      }
      auto& [status, body] = std::get<OperatorAnswer>(answer);
      if (status == 401) {
        std::cerr
            << "weir top: the operator token is missing or wrong: set WEIR_OPERATOR_TOKEN, or name the server's file "
               "with --config\n";
        return 1;
      }
      if (status != 200) {
        std::cerr << "weir top: " << path << " answers " << status << ": " << body << '\n';
        return 1;
      }
      *into = std::move(body);
    }
    winsize size{};
    if (!terminal || once) {
      std::cout << render_top(figures, unbounded, unbounded);
      return 0;
    }
    const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 1;
    std::cout << "\x1b[H\x1b[2J" << render_top(figures, known ? size.ws_col : 160, known ? size.ws_row - 1U : 200)
              << std::flush;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

}  // namespace weir::app
