// `train_gpt seeds`: the same recipe with several seeds, one after another, and the table of them all.
#include <fmt/format.h>

#include <charconv>
#include <set>

#include "harness/command/commands.h"
#include "harness/command/interrupt.h"
#include "harness/command/run_series.h"
#include "harness/record/progress_line.h"
#include "harness/record/seed_set.h"
#include "src/base/error.h"
#include "src/device/comm/launch.h"

namespace pg {
namespace {

struct SeedsWords {
  RunOptions run;
  std::string seeds = "1337,42,2024";
};

std::vector<Option> list_options(SeedsWords& w) {
  return {
      {.name = "recipe",
       .value = &w.run.recipe,
       .help = "recipe.toml; relative paths in it start in the working directory",
       .is_required = true},
      {.name = "--seeds",
       .value = &w.seeds,
       .help = "with commas between them; the challenge asks for three",
       .shows_default = true},
      {.name = "--out",
       .value = &w.run.out,
       .help = "folder of the set; each seed's record goes into seed_<seed> in it",
       .is_required = true},
      set_option(w.run.sets),
      {.name = "--ranks",
       .value = &w.run.ranks,
       .help = "ranks that train together in this process",
       .range = OptionRange{1, 4096}},
      {.name = "--fresh", .value = &w.run.fresh, .help = "discard the runs that lie in the folder"},
  };
}

std::vector<int64_t> read_seeds(const std::string& text) {
  std::vector<int64_t> seeds;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    int64_t seed = 0;
    const auto [rest, error] = std::from_chars(text.data() + at, text.data() + end, seed);
    if (error != std::errc() || rest != text.data() + end) {
      throw Error(fmt::format(
          "--seeds: no numbers with commas between them: \"{}\"; give 1337,42,2024", text));
    }
    seeds.push_back(seed);
    at = end + 1;
  }
  if (std::set<int64_t>(seeds.begin(), seeds.end()).size() != seeds.size()) {
    throw Error(fmt::format("--seeds: one stands there twice: \"{}\"; each is run once", text));
  }
  return seeds;
}

// The words of one seed's `run`.
RunOptions options_of(const SeedsWords& words, int64_t seed) {
  RunOptions options = words.run;
  options.sets.push_back(fmt::format("train.seed={}", seed));
  options.out = seed_folder(words.run.out, seed);
  return options;
}

class SeedRuns {
 public:
  SeedRuns(const SeedsWords& words, const RunFunction& run, Clock& clock)
      : words_(words), series_(run, clock), seeds_(read_seeds(words.seeds)) {}

  int run() {
    if (detect_launch().ranks > 1) {
      throw Error(
          "seeds: started on several processes by a launcher; start it once, with --ranks for "
          "ranks "
          "in this process, or run each seed under the launcher with train_gpt run --seed");
    }
    const Recipe recipe = recipe_of(seeds_.front());
    for (const int64_t seed : seeds_) {  // what cannot be run is said before the first is
      if (!words_.run.fresh &&
          is_seed_finished(seed_folder(words_.run.out, seed), recipe_of(seed))) {
        finished_.insert(seed);
      }
    }
    watch_interrupts();
    const RunFolder set = open_set();
    for (size_t i = 0; i < seeds_.size(); ++i) run_seed(i, recipe);
    write_seed_set(set, recipe, seeds_);
    print_table();
    return 0;
  }

 private:
  Recipe recipe_of(int64_t seed) const {
    const RunOptions options = options_of(words_, seed);
    Recipe recipe = load_recipe_and_environment(options.recipe, options.sets).recipe;
    check_recipe(recipe);
    return recipe;
  }

  RunFolder open_set() const {
    RunFolder set;
    std::filesystem::create_directories(words_.run.out);
    set.path = std::filesystem::canonical(words_.run.out);
    set.shown = words_.run.out.string();
    set.lock = lock_folder(set.path, set.shown);
    return set;
  }

  void run_seed(size_t i, const Recipe& recipe) {
    const int64_t seed = seeds_[i];
    ProgressLine progress = ProgressLine::for_stream(stderr);
    if (finished_.contains(seed)) {
      progress.print(
          fmt::format("seeds: {} of {}: seed {} is finished", i + 1, seeds_.size(), seed));
      return;
    }
    int64_t left = 0;
    for (size_t k = i; k < seeds_.size(); ++k) left += finished_.contains(seeds_[k]) ? 0 : 1;
    progress.print(fmt::format(
        "seeds: {} of {}: seed {}; {} for all that are left", i + 1, seeds_.size(), seed,
        series_.forecast(left, recipe.train.wallclock_s + recipe.eval.wallclock_s)));
    const std::string what = fmt::format("seed {}", seed);
    series_.run(options_of(words_, seed), what);
    if (i + 1 < seeds_.size()) RunSeries::end_if_asked(what);
  }

  void print_table() const {
    fmt::print("{}record {}\n", describe_seed_set(words_.run.out, seeds_).table,
               words_.run.out.string());
  }

  const SeedsWords& words_;
  RunSeries series_;
  std::vector<int64_t> seeds_;
  std::set<int64_t> finished_;
};

}  // namespace

Command make_seeds_command(const RunFunction& run) {
  return make_command<SeedsWords>(
      "seeds", "run or go on with several seeds of a recipe: their table, one record", list_options,
      [run](const SeedsWords& words, Clock& clock) { return SeedRuns(words, run, clock).run(); });
}

}  // namespace pg
