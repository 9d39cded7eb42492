// `train_gpt run`: the words; what it does is train_gpt.cpp's run().
#include "harness/command/commands.h"
#include "harness/command/interrupt.h"

namespace pg {
namespace {

struct RunWords {
  RunOptions run;
  std::string seed, device;
  bool force = false;
};

std::vector<Option> list_options(RunWords& w) {
  return {
      {.name = "recipe",
       .value = &w.run.recipe,
       .help = "recipe.toml; relative paths in it start in the working directory",
       .is_required = true},
      {.name = "--out",
       .value = &w.run.out,
       .help = "folder of the record; default runs/<record.name>_seed<seed>"},
      {.name = "--seed", .value = &w.seed, .help = "short for --set train.seed=N"},
      {.name = "--device", .value = &w.device, .help = "short for --set track.device=NAME"},
      set_option(w.run.sets),
      {.name = "--ranks",
       .value = &w.run.ranks,
       .help = "ranks that train together in this process, a share of its threads each; they must "
               "divide train.gradient_leaves. mpirun and srun start them as processes",
       .range = OptionRange{1, 4096}},
      {.name = "--fresh",
       .value = &w.run.fresh,
       .help = "discard a run that lies in the folder instead of continuing it"},
      {.name = "--force",
       .value = &w.force,
       .help = "short for --set data.force=true: go on although the data are at fault"},
  };
}

}  // namespace

Command make_run_command(const RunFunction& run) {
  return make_command<RunWords>("run", "train, quantise, pack, score: a recipe in, a record out",
                                list_options, [run](const RunWords& words, Clock& clock) {
                                  RunOptions options = words.run;
                                  if (!words.seed.empty()) {
                                    options.sets.push_back("train.seed=" + words.seed);
                                  }
                                  if (!words.device.empty()) {
                                    options.sets.push_back("track.device=" + words.device);
                                  }
                                  if (words.force) options.sets.push_back("data.force=true");
                                  watch_interrupts();
                                  return run(options, clock);
                                });
}

}  // namespace pg
