#include "harness/record/svg_axes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace pg {
namespace {

constexpr size_t kMaxLinePoints = 600;

std::string format_tick(double value, double spacing) {
  const int decimals = spacing >= 1 ? 0 : static_cast<int>(std::ceil(-std::log10(spacing) - 1e-9));
  return fmt::format("{:.{}f}", value + 0.0, decimals);
}

// Means of equal runs of points, at most kMaxLinePoints of them; each stands where its run ends.
std::vector<ChartPoint> thin_points(const std::vector<ChartPoint>& points) {
  const size_t run = (points.size() + kMaxLinePoints - 1) / kMaxLinePoints;
  if (run <= 1) return points;
  std::vector<ChartPoint> thin;
  for (size_t begin = 0; begin < points.size(); begin += run) {
    const size_t end = std::min(begin + run, points.size());
    ChartPoint mean = {points[end - 1].x, 0};
    for (size_t i = begin; i < end; ++i) mean.y += points[i].y;
    mean.y /= static_cast<double>(end - begin);
    thin.push_back(mean);
  }
  return thin;
}

}  // namespace

double Axis::place(double value) const {
  const double part = std::clamp((value - low) / (high - low), 0.0, 1.0);
  return from + part * (to - from);
}

Axis make_x_axis(double high) {
  return {.low = 0, .high = high, .from = kPlotLeft, .to = kFigureWidth - kPlotRight};
}

Axis make_y_axis(std::vector<double> values, double top_quantile, double least_margin) {
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  Axis axis = {.from = kFigureHeight - kPlotBottom, .to = kPlotTop};
  if (values.empty()) return axis;
  std::sort(values.begin(), values.end());
  const auto top = static_cast<size_t>(top_quantile * static_cast<double>(values.size() - 1));
  axis.low = values.front();
  axis.high = values[top];
  const double margin = std::max(0.05 * (axis.high - axis.low), least_margin);
  axis.low -= margin;
  axis.high += margin;
  return axis;
}

// Steps of 1, 2 or 5 times a power of ten.
std::vector<double> choose_ticks(double low, double high, int count) {
  if (!(high > low)) return {low};
  const double rough = (high - low) / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  const double part = rough / power;
  const double step = power * (part < 1.001 ? 1 : part < 2.001 ? 2 : part < 5.001 ? 5 : 10);
  std::vector<double> ticks;
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i) {
    ticks.push_back(i * step);
  }
  return ticks;
}

std::string draw_axes(const Axis& x, const Axis& y, std::string_view x_label,
                      std::string_view y_label) {
  std::string svg;
  const std::vector<double> x_ticks = choose_ticks(x.low, x.high, 8);
  const std::vector<double> y_ticks = choose_ticks(y.low, y.high, 6);
  const auto spacing = [](const std::vector<double>& t) {
    return t.size() > 1 ? t[1] - t[0] : 1.0;
  };
  for (const double tick : x_ticks) {
    const double at = x.place(tick);
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\"/>\n", at,
        y.to, y.from);
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n", at,
                       y.from + 18, format_tick(tick, spacing(x_ticks)));
  }
  for (const double tick : y_ticks) {
    const double at = y.place(tick);
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{1:.1f}\" y1=\"{0:.1f}\" x2=\"{2:.1f}\" y2=\"{0:.1f}\"/>\n", at,
        x.from, x.to);
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
                       x.from - 8, at + 4, format_tick(tick, spacing(y_ticks)));
  }
  svg +=
      fmt::format("<path class=\"axis\" fill=\"none\" d=\"M{0:.1f} {1:.1f}V{2:.1f}H{3:.1f}\"/>\n",
                  x.from, y.to, y.from, x.to);
  svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n",
                     (x.from + x.to) / 2, kFigureHeight - 14, x_label);
  const double middle = (y.from + y.to) / 2;
  svg += fmt::format(
      "<text x=\"18\" y=\"{0:.1f}\" text-anchor=\"middle\" "
      "transform=\"rotate(-90 18 {0:.1f})\">{1}</text>\n",
      middle, y_label);
  return svg;
}

std::string draw_path(const std::vector<ChartPoint>& points, const Axis& x, const Axis& y) {
  std::string path;
  for (const ChartPoint& point : thin_points(points)) {
    if (!std::isfinite(point.y)) continue;
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x.place(point.x),
                        y.place(point.y));
  }
  return path;
}

}  // namespace pg
