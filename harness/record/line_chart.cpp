#include "harness/record/line_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "src/text/text_escape.h"

namespace pg {
namespace {

constexpr int64_t kMostNameBytes = 36;

int colour_of(size_t series) { return static_cast<int>(series) % kSeriesColours; }

// What fits beside a figure; whole characters.
std::string shorten(std::string_view text) {
  if (std::ssize(text) <= kMostNameBytes) return std::string(text);
  size_t end = kMostNameBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

std::string open_figure(double height, std::string_view title) {
  return fmt::format(
      "<svg viewBox=\"0 0 {0:.0f} {1:.0f}\" role=\"img\" aria-label=\"{2}\">\n"
      "<text class=\"title\" x=\"{3:.0f}\" y=\"20\">{2}</text>\n",
      kFigureWidth, height, title, kPlotLeft);
}

// The names in columns below the title.
std::string draw_legend(const std::vector<ChartSeries>& series) {
  if (series.size() < 2) return {};
  std::string svg;
  const double width = (kFigureWidth - kPlotLeft - kPlotRight) / 2;
  for (size_t i = 0; i < series.size(); ++i) {
    const double x = kPlotLeft + width * static_cast<double>(i % 2);
    const size_t line = i / 2;
    const double y = kFigureHeight + 14 + 18 * static_cast<double>(line);
    svg += fmt::format(
        "<path class=\"line s{}\" d=\"M{:.1f} {:.1f}h20\"/>\n<text x=\"{:.1f}\" "
        "y=\"{:.1f}\">{}</text>\n",
        colour_of(i), x, y - 4, x + 26, y, escape_xml(shorten(series[i].name)));
  }
  return svg;
}

}  // namespace

std::string draw_line_chart(const std::vector<ChartSeries>& series, const ChartLabels& labels,
                            double top_quantile) {
  std::vector<double> values;
  double last = 0;
  for (const ChartSeries& one : series) {
    for (const auto* points : {&one.line, &one.marks}) {
      for (const ChartPoint& point : *points) {
        values.push_back(point.y);
        if (std::isfinite(point.x)) last = std::max(last, point.x);
      }
    }
  }
  if (std::ranges::none_of(values, [](double value) { return std::isfinite(value); })) return {};
  const Axis x = make_x_axis(last > 0 ? last : 1);
  constexpr double kLeastMargin = 1e-3;
  const Axis y = make_y_axis(std::move(values), top_quantile, kLeastMargin);
  const size_t legend_lines = series.size() < 2 ? 0 : (series.size() + 1) / 2;
  const double legend = 18.0 * static_cast<double>(legend_lines);
  std::string svg = open_figure(kFigureHeight + legend, labels.title);
  svg += draw_axes(x, y, labels.x, labels.y);
  for (size_t i = 0; i < series.size(); ++i) {
    const std::string path = draw_path(series[i].line, x, y);
    if (!path.empty()) {
      svg += fmt::format("<path class=\"line s{}\" d=\"{}\"/>\n", colour_of(i), path);
    }
    for (const ChartPoint& mark : series[i].marks) {
      if (!std::isfinite(mark.y)) continue;
      svg += fmt::format("<circle class=\"mark s{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\"/>\n",
                         colour_of(i), x.place(mark.x), y.place(mark.y));
    }
  }
  return svg + draw_legend(series) + "</svg>\n";
}

std::string draw_bar_chart(const std::vector<ChartBar>& bars, std::string_view title, double from) {
  if (bars.empty()) return {};
  constexpr double kNames = 260, kValues = 120, kRow = 20, kTop = 34;
  double longest = 0;
  for (const ChartBar& bar : bars) longest = std::max(longest, bar.length - from);
  const double height = kTop + kRow * static_cast<double>(bars.size()) + 6;
  std::string svg = open_figure(height, title);
  for (size_t i = 0; i < bars.size(); ++i) {
    const double y = kTop + kRow * static_cast<double>(i);
    const double part = longest > 0 ? std::max(bars[i].length - from, 0.0) / longest : 0;
    const double width = std::isfinite(part) ? part * (kFigureWidth - kNames - kValues) : 0;
    svg += fmt::format(
        "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n"
        "<rect class=\"bar s{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"14\"/>\n"
        "<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
        kNames - 8, y + 11, escape_xml(shorten(bars[i].name)),
        colour_of(static_cast<size_t>(bars[i].series)), kNames, y, width, kNames + width + 6,
        y + 11, escape_xml(bars[i].value));
  }
  return svg + "</svg>\n";
}

}  // namespace pg
