// The plot shows the range that matters: the first steps of a run are far above the rest, so the
// top of the axis is a high quantile of the losses, and what lies above is drawn at the edge.
#include "harness/record/report_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "src/text/text_escape.h"

namespace pg {
namespace {

constexpr double kWidth = 760, kHeight = 420;
constexpr double kLeft = 64, kRight = 20, kTop = 44, kBottom = 52;
constexpr size_t kMaxLinePoints = 600;  // about one a pixel; more only make the file larger
constexpr double kTopQuantile = 0.98;

constexpr const char* kStyle =
    "text{font-family:sans-serif;font-size:12px;fill:#333}"
    ".title{font-size:15px;fill:#111}"
    ".grid{stroke:#e4e4e4;stroke-width:1}"
    ".axis{stroke:#666;stroke-width:1}"
    ".train{fill:none;stroke:#2f6db3;stroke-width:1.5}"
    ".val{fill:#c8442d}";

struct Axis {
  double low = 0, high = 1;
  double from = 0, to = 1;  // pixels
  double place(double value) const {
    const double part = std::clamp((value - low) / (high - low), 0.0, 1.0);
    return from + part * (to - from);
  }
};

// Means of equal runs of points, at most kMaxLinePoints of them.
std::vector<LossPoint> thin_points(const std::vector<LossPoint>& points) {
  const size_t run = (points.size() + kMaxLinePoints - 1) / kMaxLinePoints;
  if (run <= 1) return points;
  std::vector<LossPoint> thin;
  for (size_t begin = 0; begin < points.size(); begin += run) {
    const size_t end = std::min(begin + run, points.size());
    LossPoint mean = points[end - 1];
    mean.loss_nats = 0;
    for (size_t i = begin; i < end; ++i) mean.loss_nats += points[i].loss_nats;
    mean.loss_nats /= static_cast<double>(end - begin);
    thin.push_back(mean);
  }
  return thin;
}

Axis choose_loss_axis(const LossCurve& curve) {
  std::vector<double> losses;
  for (const auto* points : {&curve.train, &curve.validation}) {
    for (const LossPoint& point : *points) {
      if (std::isfinite(point.loss_nats)) losses.push_back(point.loss_nats);
    }
  }
  Axis axis = {.from = kHeight - kBottom, .to = kTop};
  if (losses.empty()) return axis;
  std::sort(losses.begin(), losses.end());
  const auto top = static_cast<size_t>(kTopQuantile * static_cast<double>(losses.size() - 1));
  axis.low = losses.front();
  axis.high = losses[top];
  const double margin = std::max(0.05 * (axis.high - axis.low), 0.01);
  axis.low -= margin;
  axis.high += margin;
  return axis;
}

Axis choose_step_axis(const LossCurve& curve) {
  double last = 1;
  for (const auto* points : {&curve.train, &curve.validation}) {
    if (!points->empty()) last = std::max(last, static_cast<double>(points->back().step));
  }
  return {.low = 0, .high = last, .from = kLeft, .to = kWidth - kRight};
}

std::string format_tick(double value, double spacing) {
  const int decimals = spacing >= 1 ? 0 : static_cast<int>(std::ceil(-std::log10(spacing) - 1e-9));
  return fmt::format("{:.{}f}", value + 0.0, decimals);
}

std::string draw_axes(const Axis& x, const Axis& y) {
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
  svg +=
      fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">optimizer step</text>\n",
                  (x.from + x.to) / 2, kHeight - 14);
  const double middle = (y.from + y.to) / 2;
  svg += fmt::format(
      "<text x=\"18\" y=\"{0:.1f}\" text-anchor=\"middle\" "
      "transform=\"rotate(-90 18 {0:.1f})\">loss, nats per token</text>\n",
      middle);
  return svg;
}

std::string draw_points(const LossCurve& curve, const Axis& x, const Axis& y) {
  std::string svg, path;
  for (const LossPoint& point : thin_points(curve.train)) {
    if (!std::isfinite(point.loss_nats)) continue;
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L",
                        x.place(static_cast<double>(point.step)), y.place(point.loss_nats));
  }
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
  const double x = kWidth - kRight - 210;
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

std::string draw_loss_curve(const LossCurve& curve, std::string_view title) {
  const Axis x = choose_step_axis(curve);
  const Axis y = choose_loss_axis(curve);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\" "
      "role=\"img\">\n<style>{2}</style>\n<rect width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "fill=\"#fff\"/>\n"
      "<text class=\"title\" x=\"{3:.0f}\" y=\"30\">{4}</text>\n",
      kWidth, kHeight, kStyle, kLeft, escape_xml(shorten_title(title)));
  svg += draw_legend(!curve.validation.empty());
  svg += draw_axes(x, y);
  svg += draw_points(curve, x, y);
  return svg + "</svg>\n";
}

}  // namespace pg
