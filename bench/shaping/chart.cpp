#include "shaping/chart.hpp"

#include <cmath>
#include <cstdio>
#include <functional>

namespace weir::bench {
namespace {

constexpr double panel_width = 300, panel_height = 190, panel_left = 52, panel_top = 58, panel_gap = 62;
constexpr double load_most = 5;

struct Line {
  Way way;
  const char* colour;
  const char* name;
};
// The last one lies on top.
constexpr Line lines[] = {{Way::straight, "#b4532a", "straight to the provider"},
                          {Way::refusing, "#8a6fb0", "through a limiter that answers 429"},
                          {Way::waiting, "#1f7a6d", "through weir"}};

template <typename... Values>
std::string format(const char* pattern, Values... values) {
  char text[512];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

struct Panel {
  const char* title;
  double most;  // of the scale
  std::function<double(const Figures&)> value;
};

std::string draw_panel(const Panel& panel, double left, const std::vector<LoadRow>& rows) {
  const auto x = [&](double load) { return left + load / load_most * panel_width; };
  const auto y = [&](double value) { return panel_top + panel_height * (1 - value / panel.most); };
  std::string svg = format("<text class='t' x='%.1f' y='%.1f'>%s</text>\n", left, panel_top - 14, panel.title);
  for (int i = 0; i <= 4; ++i) {
    const double value = panel.most * i / 4;
    svg += format("<path class='g' d='M%.1f %.1fH%.1f'/>", left, y(value), left + panel_width);
    svg += format("<text x='%.1f' y='%.1f' text-anchor='end'>%.0f %%</text>\n", left - 6, y(value) + 4, value * 100);
  }
  for (int load = 0; load <= 5; ++load) {
    svg += format("<text x='%.1f' y='%.1f' text-anchor='middle'>%d×</text>\n", x(load), panel_top + panel_height + 18,
                  load);
  }
  for (const Line& line : lines) {
    std::string points;
    for (const LoadRow& row : rows) {
      const double value = panel.value(row.figures[static_cast<std::size_t>(line.way)]);
      points += format("%s%.1f %.1f", points.empty() ? "M" : "L", x(row.load), y(std::min(value, panel.most)));
      svg += format("<circle cx='%.1f' cy='%.1f' r='3' fill='%s'/>", x(row.load), y(std::min(value, panel.most)),
                    line.colour);
    }
    svg += format("<path fill='none' stroke='%s' stroke-width='2' d='%s'/>\n", line.colour, points.c_str());
  }
  return svg;
}

}  // namespace

std::string draw_chart(const std::vector<LoadRow>& rows) {
  const Panel panels[] = {
      {"Tokens used, of what the limit allows", 1.0, [](const Figures& figures) { return figures.share; }},
      {"Calls that fail for their callers", 1.0, [](const Figures& figures) { return figures.failed; }},
      {"Calls the provider refuses", 1.0, [](const Figures& figures) { return figures.refused_by_provider; }}};
  constexpr double width = panel_left + 3 * panel_width + 2 * panel_gap + 20, height = panel_top + panel_height + 78;
  std::string svg = format(
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %.0f %.0f' width='%.0f' height='%.0f' "
      "role='img' aria-label='Use of the tier and failed calls by offered load'>\n",
      width, height, width, height);
  svg +=
      "<style>text{font:12px system-ui,sans-serif;fill:#24292f}.t{font-weight:600;font-size:13px}"
      ".g{stroke:#d0d7de;stroke-width:1}</style>\n";
  svg += format("<rect width='%.0f' height='%.0f' fill='#fff'/>\n", width, height);
  svg += format(
      "<text x='%.1f' y='24'>Offered load, in multiples of a tier of 5,000,000 tokens and 30,000 requests a "
      "minute</text>\n",
      panel_left);
  double left = panel_left;
  for (const Panel& panel : panels) {
    svg += draw_panel(panel, left, rows);
    left += panel_width + panel_gap;
  }
  left = panel_left;
  for (const Line& line : lines) {
    const double y = panel_top + panel_height + 50;
    svg += format("<path stroke='%s' stroke-width='3' d='M%.1f %.1fh22'/><text x='%.1f' y='%.1f'>%s</text>\n",
                  line.colour, left, y - 4, left + 30, y, line.name);
    left += 300;
  }
  return svg + "</svg>\n";
}

}  // namespace weir::bench
