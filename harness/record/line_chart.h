// Figures of a page that compares runs: lines over each other and bars beside each other, as SVG that takes its colours
// from the page: series i has the class "s<i>", one of kSeriesColours.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "harness/record/svg_axes.h"

namespace pg {

inline constexpr int kSeriesColours = 8;

struct ChartSeries {
  std::string name;  // anybody's text
  std::vector<ChartPoint> line, marks;
};

struct ChartLabels {
  std::string_view title, x, y;  // ours
};

// `top_quantile`: of all values how many lie below the top of the plot. Empty where no series has a point.
std::string draw_line_chart(const std::vector<ChartSeries>& series, const ChartLabels& labels,
                            double top_quantile = 1);

struct ChartBar {
  std::string name, value;  // as they are shown; anybody's text
  double length = 0;
  int series = 0;
};

// Bars from the left, each with its name before it and its value behind it; their lengths start at `from`.
std::string draw_bar_chart(const std::vector<ChartBar>& bars, std::string_view title,
                           double from = 0);

}  // namespace pg
