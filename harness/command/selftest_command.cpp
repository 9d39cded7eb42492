// `train_gpt selftest`: the words; what it does is in tests/selftest/.
#include "harness/bench/test_program.h"
#include "harness/command/commands.h"

namespace pg {
namespace {

struct SelfTestWords {
  std::string device = "cpu";
  std::string filter;
  bool ops_only = false;
};

std::vector<Option> list_options(SelfTestWords& o) {
  return {
      {.name = "--device", .value = &o.device, .help = "device to test", .shows_default = true},
      {.name = "--filter", .value = &o.filter, .help = "only ops with this text in their names"},
      {.name = "--ops-only", .value = &o.ops_only, .help = "no training and no speed"},
  };
}

int run(const SelfTestWords& words, Clock& /*clock*/) {
  std::vector<std::string> all = {"--device", words.device};
  if (!words.filter.empty()) all.insert(all.end(), {"--filter", words.filter});
  if (words.ops_only) all.emplace_back("--ops-only");
  return run_test_program("selftest", "selftest", all);
}

}  // namespace

Command make_selftest_command() {
  return make_command<SelfTestWords>(
      "selftest", "whether a device computes what the reference does, and how fast", list_options,
      run);
}

}  // namespace pg
