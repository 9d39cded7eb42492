// `train_gpt leaderboard`: the table of the records below a folder.
#include <fmt/format.h>

#include "harness/command/commands.h"
#include "harness/record/leaderboard.h"

namespace pg {
namespace {

struct LeaderboardWords {
  std::filesystem::path root;
};

std::vector<Option> list_options(LeaderboardWords& w) {
  return {{.name = "records",
           .value = &w.root,
           .help = "folder that the records lie below",
           .is_required = true}};
}

int print_leaderboard(const LeaderboardWords& words, Clock&) {
  fmt::print("{}", write_leaderboard(words.root));
  return 0;
}

}  // namespace

Command make_leaderboard_command() {
  return make_command<LeaderboardWords>("leaderboard", "the table of the records below a folder",
                                        list_options, print_leaderboard);
}

}  // namespace pg
