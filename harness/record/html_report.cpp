#include "harness/record/html_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "harness/recipe/recipe_changes.h"
#include "harness/record/line_chart.h"
#include "harness/statistics/seed_statistics.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

constexpr double kLossQuantile = 0.98;  // the first steps lie far above the rest

// Colours that differ on white and on black, for people too who tell red and green apart badly (Okabe and Ito).
constexpr const char* kPageStyle = R"(
:root{color-scheme:light dark;--page:#fff;--text:#1c1c1c;--dim:#666;--rule:#ddd}
@media (prefers-color-scheme:dark){:root{--page:#161616;--text:#e6e6e6;--dim:#9a9a9a;--rule:#3a3a3a}}
body{background:var(--page);color:var(--text);font:15px/1.5 sans-serif;max-width:980px;margin:24px auto;padding:0 16px}
h1{font-size:24px}h2{font-size:18px;margin-top:32px;border-bottom:1px solid var(--rule)}
table{border-collapse:collapse;display:block;overflow-x:auto}
td,th{padding:3px 10px;text-align:right;border-bottom:1px solid var(--rule);font-weight:normal}
th{color:var(--dim)}td:first-child,th:first-child{text-align:left}
pre{overflow-x:auto;padding:8px;border:1px solid var(--rule)}
svg{width:100%;height:auto;margin:8px 0}
svg text{font:12px sans-serif;fill:var(--text)}svg .title{font-size:14px}
.grid{stroke:var(--rule)}.axis{stroke:var(--dim)}.line{fill:none;stroke-width:1.5}
.s0{--c:#0072b2}.s1{--c:#d55e00}.s2{--c:#009e73}.s3{--c:#cc79a7}
.s4{--c:#e69f00}.s5{--c:#56b4e9}.s6{--c:#8c8c00}.s7{--c:#888}
.line{stroke:var(--c)}.mark,.bar{fill:var(--c)}
.remark{color:#d55e00}.same{color:var(--dim)}
)";

class Table {
 public:
  // Cells are text; the first column says what a row is of.
  void head(const std::vector<std::string>& cells) { add("th", cells); }
  void row(const std::vector<std::string>& cells) { add("td", cells); }
  std::string html() const { return "<table>\n" + rows_ + "</table>\n"; }

 private:
  void add(const char* tag, const std::vector<std::string>& cells) {
    rows_ += "<tr>";
    for (const std::string& cell : cells)
      rows_ += fmt::format("<{0}>{1}</{0}>", tag, escape_xml(cell));
    rows_ += "</tr>\n";
  }
  std::string rows_;
};

std::string head(const char* text) { return fmt::format("<h2>{}</h2>\n", text); }

// A part of the page; nothing where it has nothing to say.
std::string part(const char* title, const std::string& html) {
  return html.empty() ? std::string() : head(title) + html;
}

const SeedScore* score_of(const RunStory& run) {
  return run.result && !run.result->seeds.empty() ? &run.result->seeds.front() : nullptr;
}

// Seconds of training and steps, of what is known of them.
double trained_s(const RunStory& run) {
  const SeedScore* score = score_of(run);
  if (score != nullptr && score->train_s) return *score->train_s;
  return run.events.steps.empty() ? 0 : run.events.steps.back().train_s;
}

int64_t steps_of(const RunStory& run) {
  const SeedScore* score = score_of(run);
  if (score != nullptr && score->steps) return *score->steps;
  return run.events.curve.train.empty() ? 0 : run.events.curve.train.back().step;
}

std::string show(double value, const char* format) {
  return value > 0 ? fmt::format(fmt::runtime(format), value) : std::string("-");
}
std::string show_count(int64_t value) {
  return value > 0 ? format_thousands(value) : std::string("-");
}

std::string write_scores(const std::vector<RunStory>& runs) {
  Table table;
  table.head({"run", "seed", "bits per byte", "loss, nats", "steps", "ms/step", "training, s",
              "scoring, s", "bytes", "cap"});
  for (const RunStory& run : runs) {
    const SeedScore* score = score_of(run);
    const auto steps = static_cast<double>(steps_of(run));
    const double train_s =
        run.events.steps.empty() ? trained_s(run) : run.events.steps.back().train_s;
    int64_t bytes = run.model_bytes + run.code_bytes;
    if (score != nullptr && score->artifact_bytes) bytes = *score->artifact_bytes;
    table.row({run.name, score == nullptr ? "-" : score->seed,
               score == nullptr ? "not scored yet" : fmt::format("{:.6f}", score->bits_per_byte),
               show(score == nullptr ? 0 : score->loss_nats.value_or(0), "{:.6f}"),
               show_count(steps_of(run)), show(steps > 0 ? 1e3 * train_s / steps : 0, "{:.2f}"),
               show(trained_s(run), "{:.1f}"),
               show(score == nullptr ? 0 : score->eval_s.value_or(0), "{:.1f}"), show_count(bytes),
               show_count(run.cap_bytes)});
  }
  return table.html();
}

// Mean and spread over the seeds of each recipe that has several; keys that only place and name do not tell recipes apart.
std::string write_seeds(const std::vector<RunStory>& runs) {
  std::map<std::string, std::vector<const RunStory*>> sets;
  for (const RunStory& run : runs) {
    if (!run.recipe || score_of(run) == nullptr) continue;
    Recipe recipe = *run.recipe;
    recipe.train.seed = 0;
    sets[write_recipe(recipe, RecipeComments::kNone, [](const FieldInfo& info) {
      return have_common(info.affects, Affects::kTraining | Affects::kPacking | Affects::kScoring);
    })].push_back(&run);
  }
  Table table;
  table.head(
      {"recipe of", "seeds", "mean, bits per byte", "std (n - 1)", "std (n)", "lowest", "highest"});
  bool has_rows = false;
  for (const auto& [recipe, set] : sets) {
    if (set.size() < 2) continue;
    std::vector<double> bits;
    for (const RunStory* run : set) bits.push_back(score_of(*run)->bits_per_byte);
    const Spread spread = spread_of(bits);
    table.row({set.front()->name, fmt::format("{}", spread.count),
               fmt::format("{:.6f}", spread.mean), fmt::format("{:.6f}", spread.sample_std),
               fmt::format("{:.6f}", spread.population_std), fmt::format("{:.6f}", spread.least),
               fmt::format("{:.6f}", spread.most)});
    has_rows = true;
  }
  return has_rows ? table.html() : std::string();
}

// One series a run, of its points by `add`.
template <class Add>
std::vector<ChartSeries> list_series(const std::vector<RunStory>& runs, Add&& add) {
  std::vector<ChartSeries> series;
  for (const RunStory& run : runs) {
    series.push_back({run.name, {}, {}});
    add(run, series.back());
  }
  return series;
}

std::string draw_losses(const std::vector<RunStory>& runs) {
  const auto draw = [&](const char* title, const char* x_label, auto&& x_of) {
    return draw_line_chart(list_series(runs,
                                       [&](const RunStory& run, ChartSeries& one) {
                                         for (const LossPoint& p : run.events.curve.train)
                                           one.line.push_back({x_of(run, p), p.loss_nats});
                                         for (const LossPoint& p : run.events.curve.validation)
                                           one.marks.push_back({x_of(run, p), p.loss_nats});
                                       }),
                           {title, x_label, "loss, nats per token"}, kLossQuantile);
  };
  const auto tokens = [](const RunStory& run, const LossPoint& point) {
    const auto batch = run.recipe ? static_cast<double>(run.recipe->train.batch_tokens) : 1.0;
    return static_cast<double>(point.step) * batch / 1e6;
  };
  return draw("Loss against time", "seconds of training",
              [](const RunStory&, const LossPoint& point) { return point.train_s; }) +
         draw("Loss against tokens", "tokens trained on, millions", tokens);
}

// A figure of each step, left out where no run tells it.
std::string draw_steps(const std::vector<RunStory>& runs, const ChartLabels& labels,
                       double (*value_of)(const StepEvent&), double top_quantile) {
  return draw_line_chart(
      list_series(runs,
                  [&](const RunStory& run, ChartSeries& one) {
                    for (const StepEvent& step : run.events.steps) {
                      const double value = value_of(step);
                      if (value > 0) one.line.push_back({static_cast<double>(step.step), value});
                    }
                  }),
      labels, top_quantile);
}

std::string draw_training(const std::vector<RunStory>& runs) {
  return draw_steps(
             runs, {"Learning rate", "step", "multiplier"},
             [](const StepEvent& s) { return s.lr_multiplier; }, 1) +
         draw_steps(
             runs, {"Throughput", "step", "thousand tokens per second"},
             [](const StepEvent& s) { return s.tokens_per_s / 1e3; }, 1) +
         draw_steps(
             runs, {"Projected artifact", "step", "thousand bytes"},
             [](const StepEvent& s) { return static_cast<double>(s.projected_bytes) / 1e3; },
             kLossQuantile);
}

std::string write_stages(const std::vector<RunStory>& runs) {
  std::vector<ChartBar> bars;
  double least = 1e300;
  for (size_t i = 0; i < runs.size(); ++i) {
    for (const StageScore& stage : runs[i].events.stages) {
      const std::string what = stage.stage == "pre_quant"   ? "before quantisation"
                               : stage.stage == "roundtrip" ? "artifact, without overlap"
                               : stage.stage == "final"     ? "the score"
                                                            : stage.stage;
      bars.push_back({runs.size() > 1 ? fmt::format("{}: {}", runs[i].name, what) : what,
                      fmt::format("{:.6f}", stage.bits_per_byte), stage.bits_per_byte,
                      static_cast<int>(i)});
      least = std::min(least, stage.bits_per_byte);
    }
  }
  // The differences are hundredths of the whole.
  return draw_bar_chart(
      bars, "Bits per byte at each stage; the bars start a little below the least", 0.98 * least);
}

// "blocks.3.attn.out" is of "attn.out": what tensors have in common over the blocks.
std::string kind_of(const std::string& tensor) {
  constexpr std::string_view kBlocks = "blocks.";
  if (!tensor.starts_with(kBlocks)) return tensor;
  const size_t dot = tensor.find('.', kBlocks.size());
  return dot == std::string::npos ? tensor : tensor.substr(dot + 1);
}

std::string write_bytes(const RunStory& run, size_t index) {
  std::map<std::string, TensorSize> kinds;
  for (const TensorSize& tensor : run.events.tensors) {
    TensorSize& kind = kinds[kind_of(tensor.tensor)];
    kind.bytes += tensor.bytes;
    kind.weights += tensor.weights;
  }
  std::vector<ChartBar> bars;
  const auto add = [&](const std::string& name, int64_t bytes, const std::string& more) {
    if (bytes <= 0) return;
    bars.push_back({name, format_thousands(bytes) + more, static_cast<double>(bytes),
                    static_cast<int>(index)});
  };
  for (const auto& [name, kind] : kinds) {
    const double bits =
        kind.weights > 0 ? 8 * static_cast<double>(kind.bytes) / static_cast<double>(kind.weights)
                         : 0;
    add(name, kind.bytes, fmt::format(", {:.2f} b/w", bits));
  }
  std::ranges::stable_sort(bars, std::ranges::greater(), &ChartBar::length);
  add("whole model", run.model_bytes, "");
  add("counted code", run.code_bytes, "");
  return draw_bar_chart(bars, "Bytes by part");
}

std::string write_times(const RunStory& run, size_t index) {
  std::vector<ChartBar> bars;
  for (const auto& [what, seconds] : run.times_s) {
    bars.push_back({what, fmt::format("{:.2f} s", seconds), seconds, static_cast<int>(index)});
  }
  return draw_bar_chart(bars, "Time");
}

std::string write_run(const RunStory& run, size_t index) {
  std::string html = fmt::format("<h3>{}</h3>\n", escape_xml(run.name));
  if (run.result && !run.result->blurb.empty()) {
    html += fmt::format("<p>{}</p>\n", escape_xml(run.result->blurb));
  }
  for (const std::string& remark : run.remarks) {
    html += fmt::format("<p class=\"remark\">{}</p>\n", escape_xml(remark));
  }
  Table facts;
  for (const auto& [key, value] : run.facts) facts.row({key, value});
  if (!run.facts.empty()) html += facts.html();
  return html + write_times(run, index) + write_bytes(run, index);
}

// escape_xml makes blanks of line breaks, which preformatted text needs.
std::string escape_lines(std::string_view text) {
  std::string html;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    html += escape_xml(text.substr(0, end)) + "\n";
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return html;
}

std::string write_recipes(const std::vector<RunStory>& runs) {
  const RunStory* first = nullptr;
  for (const RunStory& run : runs) {
    if (run.recipe && first == nullptr) first = &run;
  }
  if (first == nullptr) return {};
  std::string html = fmt::format(
      "<p>{}: what differs from the defaults.</p>\n<pre>{}</pre>\n", escape_xml(first->name),
      escape_lines(write_changes(list_changes(*first->recipe, Recipe()))));
  if (runs.size() < 2) return html;
  // Keys in which any of the runs differs from the first, by section and key.
  std::map<std::string, std::vector<std::string>> rows;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (!runs[i].recipe) continue;
    for (const KeyChange& change : list_changes(*runs[i].recipe, *first->recipe)) {
      auto& row = rows[fmt::format("{}.{}", change.section, change.key)];
      row.resize(runs.size());
      row[i] = change.value;
    }
    for (const KeyChange& change : list_changes(*first->recipe, *runs[i].recipe)) {
      auto& row = rows[fmt::format("{}.{}", change.section, change.key)];
      row.resize(runs.size());
      row[static_cast<size_t>(first - runs.data())] = change.value;
    }
  }
  if (rows.empty()) return html + "<p>All recipes are the same.</p>\n";
  Table table;
  std::vector<std::string> names = {"key"};
  for (const RunStory& run : runs) names.push_back(run.name);
  table.head(names);
  for (auto& [key, values] : rows) {
    std::vector<std::string> cells = {key};
    for (size_t i = 0; i < runs.size(); ++i) {
      cells.push_back(!runs[i].recipe     ? "no recipe"
                      : values[i].empty() ? "as the first"
                                          : values[i]);
    }
    table.row(cells);
  }
  return html + "<p>Keys that differ between the runs.</p>\n" + table.html();
}

}  // namespace

std::string write_html_report(const std::vector<RunStory>& runs) {
  const std::string title =
      runs.size() == 1 ? runs.front().name : fmt::format("{} runs", runs.size());
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>{0}</title>\n"
      "<style>{1}</style>\n</head>\n<body>\n<h1>{0}</h1>\n",
      escape_xml(title), kPageStyle);
  html += part("Scores", write_scores(runs) + write_seeds(runs));
  html += part("Losses", draw_losses(runs));
  html += part("Training", draw_training(runs));
  html += part("Stages", write_stages(runs));
  std::string each;
  for (size_t i = 0; i < runs.size(); ++i) each += write_run(runs[i], i);
  html += part("Bytes and time", each);
  html += part("Recipe", write_recipes(runs));
  return html + "</body>\n</html>\n";
}

}  // namespace pg
