// The loss curve of a run as an SVG file: training loss as a line, validation as points. No
// scripts, no fonts, no outside references; the same curve always gives the same bytes.
#pragma once
#include <string>
#include <string_view>

#include "harness/record/loss_curve.h"

namespace pg {

// `title` stands above the plot.
std::string draw_loss_curve(const LossCurve& curve, std::string_view title);

}  // namespace pg
