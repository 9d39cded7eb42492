// Regula falsi on the log of the coarseness, from a guess by the estimate. A weight costs
// -log2(scale) bits plus a constant, so the slope is known; what is left is noise of some bytes, for
// which the bracket is kept.
#include "quant/method/fill_cap.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "src/base/error.h"
#include "src/base/exact_math.h"
#include "src/base/simd_math.h"

namespace pg {
namespace {

constexpr int kMaxEstimates = 12;
constexpr int kPatience = 16;             // tries on one side of the limit by the known slope
constexpr double kMaxLogCoarseness = 40;  // e^40: every code is zero long before

// log coarseness and the bytes over the limit there.
struct Point {
  double x = 0, over = 0;
};

class Search {
 public:
  Search(double bytes_per_log, double least_x) : slope_(bytes_per_log), least_x_(least_x) {}

  void add(Point p) {
    in_a_row_ = (p.over > 0) == (last_.over > 0) ? in_a_row_ + 1 : 1;
    last_ = p;
    if (p.over <= 0) {
      if (!has_fit_ || p.x < fit_.x) fit_ = p;
      if (!has_fit_ || p.over > best_.over) best_ = p;
      has_fit_ = true;
    } else {
      if (!has_excess_ || p.x > excess_.x) excess_ = p;
      has_excess_ = true;
    }
  }
  // The next coarseness to look at.
  double next() const {
    if (!has_fit_ || !has_excess_ || fit_.x <= excess_.x) {
      // One side only: by the known slope, a bit further so that the other side is met. Where most
      // tensors are as fine as they get, the real slope is a small part of it: ever longer steps.
      const double way = std::ldexp(last_.over / slope_, std::max(in_a_row_ - kPatience, 0));
      return clamp(last_.x + 1.02 * way + (last_.over > 0 ? 1e-6 : -1e-6));
    }
    const double share = excess_.over / (excess_.over - fit_.over + 1e-9);
    // Not closer to an end than a tenth: one end would else stay for ever.
    return excess_.x + std::fmin(std::fmax(share, 0.1), 0.9) * (fit_.x - excess_.x);
  }
  // Error feedback makes the size jump by some hundred bytes at the slightest change: where the
  // bracket closed on such a jump, other scales nearby land otherwise. Spread evenly (multiples of
  // the golden ratio) over what 400 bytes less to 800 more than the best fit's amount to.
  double next_beside_noise(int attempt) const {
    const double place = std::fmod(0.6180339887 * attempt, 1.0);
    return clamp(best_.x - (1200 * place - 400) / slope_);
  }
  bool has_fit() const { return has_fit_; }
  const Point& best() const { return best_; }
  // The scales that enclose the limit lie closer than jumps can be told from slope.
  bool is_narrow() const { return has_fit_ && has_excess_ && (fit_.x - excess_.x) * slope_ < 64; }

 private:
  double clamp(double x) const { return std::fmin(std::fmax(x, least_x_), kMaxLogCoarseness); }
  double slope_, least_x_;
  Point last_, fit_, excess_, best_;  // fit, excess: the finest that fits, the coarsest too large
  bool has_fit_ = false, has_excess_ = false;
  int in_a_row_ = 0;  // of the last points those on the last one's side
};

double bytes_per_log(const FillTask& task) {
  return std::fmax(task.elements / 8 / std::numbers::ln2, 1.0);
}
double log_least(const FillTask& task) { return log_f64(std::fmax(task.least_coarseness, 1e-30)); }

double guess_log_coarseness(const FillTask& task) {
  const double limit = static_cast<double>(task.limit_bytes);
  const double least_x = log_least(task);
  Search rough(bytes_per_log(task), least_x);
  double x = std::fmax(0.0, least_x);
  for (int i = 0; i < kMaxEstimates; ++i) {
    const Point p{x, task.estimate(exp_f64(x)) - limit};
    rough.add(p);
    if (std::fabs(p.over) < 0.002 * limit || (p.over < 0 && p.x <= least_x)) break;
    x = rough.next();
  }
  return x;
}

}  // namespace

double guess_coarseness(const FillTask& task) { return exp_f64(guess_log_coarseness(task)); }

double fill_cap(const FillTask& task) {
  const double least_x = log_least(task);
  Search search(bytes_per_log(task), least_x);
  double x = guess_log_coarseness(task);
  double measured_x = x;
  int64_t bytes = 0;
  for (int i = 0; i < task.most_measurements; ++i) {
    measured_x = x;
    bytes = task.measure(exp_f64(x));
    search.add({x, static_cast<double>(bytes - task.limit_bytes)});
    const int64_t free_bytes = task.limit_bytes - bytes;
    if (free_bytes >= 0 && (free_bytes <= task.slack_bytes || x <= least_x)) return exp_f64(x);
    x = search.is_narrow() ? search.next_beside_noise(i) : search.next();
  }
  if (!search.has_fit()) {
    throw Error(fmt::format(
        "the artifact cannot fit under the cap: {} bytes over even with the coarsest scales; train "
        "a smaller model (model.layers, model.mlp_hidden, model.bigram_buckets) or raise "
        "quant.cap_bytes",
        bytes - task.limit_bytes));
  }
  if (measured_x != search.best().x) task.measure(exp_f64(search.best().x));
  return exp_f64(search.best().x);
}

}  // namespace pg
