// The plot shows the range that matters: the first steps of a run are far above the rest, so the
// top of the axis is a high quantile of the losses, and what lies above is drawn at the edge.
#include "harness/record/report_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "harness/record/svg_axes.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

constexpr double kTopQuantile = 0.98, kLeastMargin_nats = 0.01;

constexpr const char* kStyle =
    "text{font-family:sans-serif;font-size:12px;fill:#333}"
    ".title{font-size:15px;fill:#111}"
    ".grid{stroke:#e4e4e4;stroke-width:1}"
    ".axis{stroke:#666;stroke-width:1}"
    ".train{fill:none;stroke:#2f6db3;stroke-width:1.5}"
    ".val{fill:#c8442d}";

Axis choose_loss_axis(const LossCurve& curve) {
  std::vector<double> losses;
  for (const auto* points : {&curve.train, &curve.validation}) {
    for (const LossPoint& point : *points) losses.push_back(point.loss_nats);
  }
  return make_y_axis(std::move(losses), kTopQuantile, kLeastMargin_nats);
}

Axis choose_step_axis(const LossCurve& curve) {
  double last = 1;
  for (const auto* points : {&curve.train, &curve.validation}) {
    if (!points->empty()) last = std::max(last, static_cast<double>(points->back().step));
  }
  return make_x_axis(last);
}

std::string draw_points(const LossCurve& curve, const Axis& x, const Axis& y) {
  std::string svg;
  std::vector<ChartPoint> line;
  for (const LossPoint& point : curve.train) {
    line.push_back({static_cast<double>(point.step), point.loss_nats});
  }
  const std::string path = draw_path(line, x, y);
  if (!path.empty()) svg += fmt::format("<path class=\"train\" d=\"{}\"/>\n", path);
  for (const LossPoint& point : curve.validation) {
    if (!std::isfinite(point.loss_nats)) continue;
    svg += fmt::format(
        "<circle class=\"val\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"><title>step {}: {:.4f} nats, "
        "{:.4f} bits per byte</title></circle>\n",
        x.place(static_cast<double>(point.step)), y.place(point.loss_nats), point.step,
        point.loss_nats, point.bits_per_byte);
  }
  return svg;
}

// What fits between the left edge and the legend.
std::string shorten_title(std::string_view title) {
  constexpr size_t kMaxBytes = 56;
  if (title.size() <= kMaxBytes) return std::string(title);
  size_t end = kMaxBytes;
  while (end > 0 && (static_cast<unsigned char>(title[end]) & 0xc0) == 0x80)
    --end;  // whole characters
  return std::string(title.substr(0, end)) + "...";
}

std::string draw_legend(bool has_validation) {
  const double x = kFigureWidth - kPlotRight - 210;
  std::string svg = fmt::format(
      "<path class=\"train\" d=\"M{:.1f} 26h24\"/>\n"
      "<text x=\"{:.1f}\" y=\"30\">training</text>\n",
      x, x + 30);
  if (has_validation) {
    svg += fmt::format(
        "<circle class=\"val\" cx=\"{:.1f}\" cy=\"26\" r=\"4\"/>\n"
        "<text x=\"{:.1f}\" y=\"30\">validation</text>\n",
        x + 114, x + 124);
  }
  return svg;
}

}  // namespace

std::string draw_loss_curve(const LossCurve& curve, std::string_view title) {
  const Axis x = choose_step_axis(curve);
  const Axis y = choose_loss_axis(curve);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\" "
      "role=\"img\">\n<style>{2}</style>\n<rect width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "fill=\"#fff\"/>\n"
      "<text class=\"title\" x=\"{3:.0f}\" y=\"30\">{4}</text>\n",
      kFigureWidth, kFigureHeight, kStyle, kPlotLeft, escape_xml(shorten_title(title)));
  svg += draw_legend(!curve.validation.empty());
  svg += draw_axes(x, y, "optimizer step", "loss, nats per token");
  svg += draw_points(curve, x, y);
  return svg + "</svg>\n";
}

}  // namespace pg
