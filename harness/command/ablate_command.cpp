// `train_gpt ablate`: a base and its arms, seed by seed, each a run of its own; then what they say of each other.
// Several processes may work in one folder: each run is locked while it is on, what is finished is not run again,
// and what the runs share is read and written under the folder's own lock.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "harness/ablate/ablation_plan.h"
#include "harness/ablate/ablation_results.h"
#include "harness/command/ablation_tables.h"
#include "harness/command/commands.h"
#include "harness/command/interrupt.h"
#include "harness/command/run_series.h"
#include "harness/command/run_steps.h"
#include "harness/command/step_ratio.h"
#include "harness/record/code_features.h"
#include "harness/record/folder_lock.h"
#include "harness/record/progress_line.h"
#include "harness/record/seed_set.h"
#include "quant/method/pack_estimate.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/device/comm/launch.h"
#include "src/files/write_file.h"
#include "src/text/nearest_name.h"

namespace pg {
namespace {

namespace fs = std::filesystem;

struct AblateWords {
  fs::path suite, out;
  std::vector<std::string> only, sets;
  int64_t ranks = 0;
  bool resume = false, fresh = false, plan = false, measure = false;
};

std::vector<Option> list_options(AblateWords& w) {
  return {
      {.name = "suite",
       .value = &w.suite,
       .help = "suite.toml: a base recipe and arms, each with the keys it changes (docs/ablate.md)",
       .is_required = true},
      {.name = "--out",
       .value = &w.out,
       .help = "folder of the suite; the record of each run goes into <arm>/seed_<seed> in it"},
      {.name = "--only",
       .value = &w.only,
       .help = "run this arm, or base, alone; repeatable. Others may run beside it in the folder"},
      {.name = "--resume",
       .value = &w.resume,
       .help = "go on with a suite that lies in the folder; an error where there is none"},
      {.name = "--fresh",
       .value = &w.fresh,
       .help = "discard the runs of these arms that lie in the folder",
       .excludes = "--resume"},
      {.name = "--plan",
       .value = &w.plan,
       .help = "show arms, steps, sizes and times, and run nothing"},
      {.name = "--measure",
       .value = &w.measure,
       .help = "measure the arms' step times, where the suite asks for equal cost, and run nothing",
       .excludes = "--plan"},
      set_option(w.sets),
      {.name = "--ranks",
       .value = &w.ranks,
       .help = "ranks that train together in this process",
       .range = OptionRange{1, 4096}},
  };
}

AblationSuite load_suite(const AblateWords& words) {
  AblationSuite suite = read_suite(read_text_file(words.suite), words.suite.string());
  for (const std::string& set : words.sets) {
    if (is_key_of_suite(set)) {
      throw Error(fmt::format("--set {}: steps, seeds and clock are the suite's to say", set));
    }
    suite.sets.push_back(set);
  }
  std::vector<std::string> names = {std::string(kBaseName)};
  for (const AblationArm& arm : suite.arms) names.push_back(arm.name);
  for (const std::string& name : words.only) {
    if (std::ranges::count(names, name) > 0) continue;
    const std::string nearest = find_nearest_name(name, names);
    throw Error(fmt::format("--only: the suite has no arm \"{}\"; {}", name,
                            nearest.empty() ? fmt::format("there are {}", fmt::join(names, ", "))
                                            : fmt::format("did you mean \"{}\"?", nearest)));
  }
  return suite;
}

class Ablation {
 public:
  Ablation(const AblateWords& words, const RunFunction& run, Clock& clock)
      : words_(words), clock_(clock), series_(run, clock), suite_(load_suite(words)) {}

  int run() {
    if (detect_launch().ranks > 1) {
      throw Error(
          "ablate: started on several processes by a launcher; start it once, with --ranks for "
          "ranks in this process, or several times with other --only");
    }
    if (words_.plan) {
      show_plan();
      return 0;
    }
    if (words_.out.empty()) throw Error("ablate: no folder given; give --out DIR");
    plan();  // what cannot be run is said before anything is
    watch_interrupts();
    open_folder();
    if (words_.measure) return 0;
    run_all();
    print_results();
    return 0;
  }

 private:
  fs::path suite_file() const { return words_.out / kSuiteName; }
  fs::path base_file() const { return words_.out / "recipe.toml"; }
  fs::path steps_file() const { return words_.out / "steps.json"; }

  Recipe load(const std::vector<std::string>& sets) const {
    return load_recipe_and_environment(suite_.recipe, sets).recipe;
  }
  std::vector<PlannedArm> make_plan(const StepTable& measured) const {
    return plan_suite(
        suite_, [this](const std::vector<std::string>& sets) { return load(sets); }, measured);
  }
  void plan() {
    measured_ = words_.out.empty() ? StepTable() : read_step_table(steps_file());
    plan_ = make_plan(measured_);
    for (const PlannedArm& arm : plan_) {
      const CodeSizes code = code_sizes(arm.recipe.model, arm.recipe.scoring());
      try {
        check_batches(arm.recipe.train, std::max<int64_t>(words_.ranks, 1));
        check_forecast(arm.recipe, forecast_pack(arm.recipe.model, arm.recipe.quant, code));
      } catch (const Error& error) {
        throw Error(fmt::format("arm \"{}\": {}", arm.name, error.what()));
      }
    }
  }
  bool is_asked(const PlannedArm& arm) const {
    return words_.only.empty() || std::ranges::count(words_.only, arm.name) > 0;
  }

  // Waits for others that are at what the runs share, which takes them a moment, or as long as step times take to measure.
  std::unique_ptr<FolderLock> lock() {
    constexpr auto kPause = std::chrono::milliseconds(100);
    for (;;) {
      try {
        return lock_folder(words_.out, words_.out.string());
      } catch (const FolderInUse& error) {
        if (is_interrupt_requested()) throw Interrupted(error.what());
        progress_.show("ablate: waits for another process in the folder", false);
        std::this_thread::sleep_for(kPause);
      }
    }
  }

  void open_folder() {
    std::error_code ignored;
    if (words_.resume && !fs::exists(suite_file(), ignored)) {
      throw Error(
          fmt::format("--resume: there is no suite in \"{}\"; give its folder with --out, or "
                      "begin one without --resume",
                      words_.out.string()));
    }
    const auto held = lock();
    if (fs::exists(suite_file(), ignored)) {
      check_unchanged();
    } else if (holds_more_than_lock()) {
      throw Error(fmt::format(
          "the output folder \"{}\" holds other things and no suite; choose another with --out",
          words_.out.string()));
    }
    forget_steps();
    const std::string text = read_text_file(words_.suite);
    write_file_atomic(suite_file(), std::string_view(text));
    write_file_atomic(base_file(), std::string_view(write_recipe(plan_.front().recipe)));
    if (suite_.equal == EqualBy::kCost) measure_steps();
    plan();
  }

  bool holds_more_than_lock() const {
    for (const auto& entry : fs::directory_iterator(words_.out)) {
      if (entry.path().filename() != ".run_lock") return true;
    }
    return false;
  }

  // Throws Error where the folder's runs are of another suite.
  void check_unchanged() const {
    if (words_.fresh && words_.only.empty()) return;
    const auto fail = [&](const std::string& reason) {
      throw Error(fmt::format(
          "the folder \"{}\" holds runs of another suite: {}; choose another with --out, or begin "
          "anew with --fresh",
          words_.out.string(), reason));
    };
    const AblationSuite before = read_suite(read_text_file(suite_file()), suite_file().string());
    const std::string change =
        find_suite_change(before, suite_, words_.fresh ? words_.only : std::vector<std::string>());
    if (!change.empty()) fail(change);
    Recipe base;
    apply_toml(base, read_text_file(base_file()), base_file().string());
    const std::string difference =
        describe_difference(plan_.front().recipe, base, [](const FieldInfo& info) {
          constexpr std::string_view kSeed = "seed";  // of several; the suite's lists are compared
          return info.key != kSeed && !info.is_path && info.affects != Affects::kShown;
        });
    if (!difference.empty()) fail("of the base " + difference);
  }

  // Of the arms that begin anew.
  void forget_steps() {
    if (!words_.fresh) return;
    const size_t erased = std::erase_if(measured_, [this](const auto& entry) {
      return words_.only.empty() || std::ranges::count(words_.only, entry.first) > 0;
    });
    if (erased > 0) save_steps();
  }
  void save_steps() const {
    write_file_atomic(steps_file(), std::string_view(write_step_table(suite_, measured_)));
  }

  // Of the arms that are asked for and have no count yet; each is kept as soon as it is known.
  void measure_steps() {
    measured_ = read_step_table(steps_file());
    std::vector<const PlannedArm*> left;
    for (const PlannedArm& arm : plan_) {
      if (is_asked(arm) && !arm.is_base() && !measured_.contains(arm.name) &&
          !is_same_training(at_base_steps(arm), plan_.front().recipe)) {
        left.push_back(&arm);
      }
    }
    for (size_t i = 0; i < left.size(); ++i) {
      const std::string& name = left[i]->name;
      const auto show = [&](const std::string& round) {
        progress_.show(
            fmt::format("ablate: step time of {} ({} of {}), {}", name, i + 1, left.size(), round),
            false);
      };
      MeasuredSteps measured = settle_steps(
          suite_.steps,
          measure_step_ratios(plan_.front().recipe, at_base_steps(*left[i]),
                              {.steps = suite_.rehearsal_steps, .rounds = suite_.rehearsal_rounds},
                              clock_, show));
      progress_.print(fmt::format("ablate: a step of {} takes {:.3f} times the base's: {} steps",
                                  name, measured.ratio, measured.steps));
      measured_[name] = std::move(measured);
      save_steps();
    }
  }
  Recipe at_base_steps(const PlannedArm& arm) const {
    Recipe recipe = arm.recipe;
    recipe.train.max_steps = suite_.steps;
    return recipe;
  }

  void run_all() {
    for (const PlannedArm& arm : plan_) {
      if (!is_asked(arm)) continue;
      for (const int64_t seed : arm.seeds) run_one(arm, seed);
    }
    const auto held = lock();
    write_results();
  }

  void run_one(const PlannedArm& arm, int64_t seed) {
    const std::string what = fmt::format("{}, seed {}", arm.name, seed);
    const fs::path folder = arm_folder(words_.out, arm.name, seed);
    Recipe recipe = arm.recipe;
    recipe.train.seed = seed;
    const auto is_finished = [&] { return is_seed_finished(folder, recipe); };
    if (!words_.fresh && is_finished()) {
      progress_.print(fmt::format("ablate: {} is finished", what));
      return;
    }
    RunSeries::end_if_asked("the runs so far");
    progress_.print(fmt::format("ablate: {}; {} steps{}", what, arm.steps,
                                series_.has_run() ? fmt::format("; {} for all that are left",
                                                                series_.forecast(count_left(), 0))
                                                  : ""));
    RunOptions options;
    options.recipe = suite_.recipe;
    options.sets = arm.sets;
    options.sets.push_back(fmt::format("train.seed={}", seed));
    options.out = folder;
    options.ranks = words_.ranks;
    options.fresh = words_.fresh;
    options.start_s = clock_.now_s();  // step times may have been measured before
    try {
      series_.run(options, what);
    } catch (const FolderInUse&) {
      progress_.print(fmt::format("ablate: {} is being run by another process", what));
      return;
    } catch (const Interrupted&) {
      throw;
    } catch (const Error&) {
      if (words_.fresh || !is_finished()) throw;  // else another process was faster
    }
    done_.insert({arm.name, seed});
    const auto held = lock();
    write_results();
  }

  // Of this process's runs.
  int64_t count_left() const {
    int64_t left = 0;
    for (const PlannedArm& arm : plan_) {
      if (!is_asked(arm)) continue;
      for (const int64_t seed : arm.seeds) {
        std::error_code ignored;
        const bool is_there =
            !words_.fresh &&
            fs::exists(arm_folder(words_.out, arm.name, seed) / "submission.json", ignored);
        if (!is_there && !done_.contains({arm.name, seed})) ++left;
      }
    }
    return left;
  }

  void write_results() const {
    const StepTable measured = read_step_table(steps_file());  // others may have added theirs
    const std::vector<PlannedArm> plan = make_plan(measured);
    const AblationResults results = collect_results(words_.out, plan, measured);
    const auto write = [this](const char* name, const std::string& text) {
      write_file_atomic(words_.out / name, std::string_view(text));
    };
    write("results.json", write_ablation_json(suite_, results));
    write("ablation.svg", draw_ablation_bars(suite_, results));
    write("README.md", write_ablation_readme(suite_, results));
  }

  void print_results() const {
    const StepTable measured = read_step_table(steps_file());
    const std::vector<PlannedArm> plan = make_plan(measured);
    print_ablation_results(collect_results(words_.out, plan, measured));
    fmt::print("record {}\n", words_.out.string());
  }

  void show_plan() {
    plan();
    std::vector<const PlannedArm*> asked;
    for (const PlannedArm& arm : plan_) {
      if (is_asked(arm)) asked.push_back(&arm);
    }
    print_ablation_plan(asked, plan_.front().recipe.track.device);
  }

  const AblateWords& words_;
  Clock& clock_;
  RunSeries series_;
  AblationSuite suite_;
  ProgressLine progress_ = ProgressLine::for_stream(stderr);
  StepTable measured_;
  std::vector<PlannedArm> plan_;
  std::set<std::pair<std::string, int64_t>> done_;  // by this process
};

}  // namespace

Command make_ablate_command(const RunFunction& run) {
  return make_command<AblateWords>(
      "ablate", "run or go on with a suite of ablations: a base, arms, and what they say",
      list_options,
      [run](const AblateWords& words, Clock& clock) { return Ablation(words, run, clock).run(); });
}

}  // namespace pg
