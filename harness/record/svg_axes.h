// What plots have in common: the frame of a figure, round ticks, axes, lines through many points.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace pg {

// Of every figure, in pixels; the plot lies between the margins.
inline constexpr double kFigureWidth = 760, kFigureHeight = 420;
inline constexpr double kPlotLeft = 64, kPlotRight = 20, kPlotTop = 44, kPlotBottom = 52;

struct Axis {
  double low = 0, high = 1;
  double from = 0, to = 1;           // pixels
  double place(double value) const;  // at the edge where it lies beyond
};

// From 0 to `high`, along the bottom.
Axis make_x_axis(double high);
// Over the finite ones of `values`, with a margin of at least `least_margin`; `top_quantile` of them lie below its top,
// because the first steps of a run are far above the rest.
Axis make_y_axis(std::vector<double> values, double top_quantile, double least_margin);

// Round numbers that cover [low, high] with about `count` steps, for an axis.
std::vector<double> choose_ticks(double low, double high, int count);

// Grid, ticks and labels: classes "grid" and "axis". Labels are ours: nothing is escaped.
std::string draw_axes(const Axis& x, const Axis& y, std::string_view x_label,
                      std::string_view y_label);

struct ChartPoint {
  double x = 0, y = 0;
};

// The d of a path through the points that are finite; of many, through means of equal runs of them, because more than
// one a pixel only makes the file larger. Empty without points.
std::string draw_path(const std::vector<ChartPoint>& points, const Axis& x, const Axis& y);

}  // namespace pg
