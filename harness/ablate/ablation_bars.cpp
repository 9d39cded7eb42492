// The deltas of a suite as horizontal bars: no scripts, no fonts, no outside references; the same results always
// give the same bytes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/ablate/ablation_results.h"
#include "harness/record/svg_axes.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

constexpr double kWidth = 760, kLeft = 230, kRight = 80, kTop = 64, kRow = 24, kBottom = 56;
constexpr double kBar = 12;
constexpr size_t kMaxNameBytes = 30;

// Light and dark, as the reader's page is.
constexpr const char* kStyle =
    "text{font-family:sans-serif;font-size:12px;fill:#333}"
    ".title{font-size:15px;fill:#111}"
    ".paper{fill:#fff}"
    ".grid{stroke:#e4e4e4;stroke-width:1}"
    ".zero{stroke:#666;stroke-width:1}"
    ".band{fill:#e9e9e9}"
    ".better{fill:#2f7d4f}.worse{fill:#c8442d}.unseen{fill:#9a9a9a}"
    ".error{stroke:#111;stroke-width:1}"
    ".published{fill:#fff;stroke:#2f6db3;stroke-width:1.5}"
    "@media(prefers-color-scheme:dark){text{fill:#ccc}.title{fill:#eee}.paper{fill:#161616}"
    ".grid{stroke:#333}.band{fill:#2b2b2b}.error{stroke:#eee}.zero{stroke:#aaa}}";

struct DeltaAxis {
  double low = 0, high = 0;
  double place(double value) const {
    const double part = std::clamp((value - low) / (high - low), 0.0, 1.0);
    return kLeft + part * (kWidth - kRight - kLeft);
  }
};

bool is_drawn(const ArmResult& result) { return result.delta && result.delta->has_error(); }

// Of our figures; a published one that lies far out is drawn at the edge.
DeltaAxis choose_axis(const AblationResults& results) {
  DeltaAxis axis;
  for (const ArmResult& result : results.arms) {
    if (!result.delta) continue;
    const double reach = std::max(std::abs(result.delta->error), result.delta->smallest_visible);
    axis.low = std::min({axis.low, result.delta->mean - result.delta->error, -reach});
    axis.high = std::max({axis.high, result.delta->mean + result.delta->error, reach});
  }
  const double margin = std::max(0.06 * (axis.high - axis.low), 1e-4);
  axis.low -= margin;
  axis.high += margin;
  return axis;
}

std::string line(const char* style, double x1, double y1, double x2, double y2) {
  return fmt::format(
      "<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", style, x1,
      y1, x2, y2);
}

std::string rectangle(const char* style, double from, double to, double y, double height) {
  return fmt::format(
      "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>\n", style,
      std::min(from, to), y, std::max(std::abs(to - from), 1.0), height);
}

std::string draw_grid(const DeltaAxis& axis, double bottom) {
  std::string svg;
  const std::vector<double> ticks = choose_ticks(axis.low, axis.high, 6);
  for (const double tick : ticks) {
    const double x = axis.place(tick);
    svg += line("grid", x, kTop, x, bottom);
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{:+.4g}</text>\n", x,
                       bottom + 18, tick + 0.0);
  }
  return svg + fmt::format(
                   "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">bits per byte more than "
                   "what it "
                   "is compared with; less is better</text>\n",
                   (kLeft + kWidth - kRight) / 2, bottom + 40);
}

std::string shorten(const std::string& name) {
  return name.size() <= kMaxNameBytes ? name : name.substr(0, kMaxNameBytes - 3) + "...";
}

std::string draw_arm(const ArmResult& result, const DeltaAxis& axis, double y) {
  const double middle = y + kRow / 2;
  std::string svg = fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
                                kLeft - 8, middle + 4, escape_xml(shorten(result.arm->name)));
  if (!result.delta) {
    return svg + fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">not run</text>\n", axis.place(0) + 8,
                             middle + 4);
  }
  const PairedDelta& delta = *result.delta;
  if (is_drawn(result)) {
    svg += rectangle("band", axis.place(-delta.smallest_visible),
                     axis.place(delta.smallest_visible), y + 2, kRow - 4);
  }
  const char* style = !delta.is_visible() ? "unseen" : delta.mean < 0 ? "better" : "worse";
  svg += rectangle(style, axis.place(0), axis.place(delta.mean), middle - kBar / 2, kBar);
  if (is_drawn(result)) {
    svg += line("error", axis.place(delta.mean - delta.error), middle,
                axis.place(delta.mean + delta.error), middle);
  }
  if (result.published_bpb) {
    svg += fmt::format(
        "<path class=\"published\" d=\"M{0:.1f} {1:.1f}l5 5l-5 5l-5 -5z\"><title>published "
        "{2:+.4f}</title></path>\n",
        axis.place(*result.published_bpb), middle - 5, *result.published_bpb);
  }
  return svg + fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{:+.4f}</text>\n", kWidth - kRight + 8,
                           middle + 4, delta.mean);
}

}  // namespace

std::string draw_ablation_bars(const AblationSuite& suite, const AblationResults& results) {
  const auto rows = static_cast<double>(results.arms.size() - 1);
  const double bottom = kTop + rows * kRow, height = bottom + kBottom;
  const DeltaAxis axis = choose_axis(results);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\" role=\"img\">\n<style>{2}</style>\n"
      "<rect class=\"paper\" width=\"{0:.0f}\" height=\"{1:.0f}\"/>\n"
      "<text class=\"title\" x=\"20\" y=\"26\">{3}</text>\n"
      "<text x=\"20\" y=\"46\">grey: in the band of its row nothing is visible; line: standard "
      "error; "
      "diamond: published</text>\n",
      kWidth, height, kStyle, escape_xml(suite.name));
  svg += draw_grid(axis, bottom);
  double y = kTop;
  for (const ArmResult& result : results.arms) {
    if (result.arm->is_base()) continue;
    svg += draw_arm(result, axis, y);
    y += kRow;
  }
  svg += line("zero", axis.place(0), kTop, axis.place(0), bottom);
  return svg + "</svg>\n";
}

}  // namespace pg
