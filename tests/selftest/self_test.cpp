#include "tests/selftest/self_test.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string_view>

#include "src/base/clock.h"
#include "src/base/error.h"
#include "src/device/op_table/op_list.h"
#include "tests/ops/op_runner.h"
#include "tests/selftest/library_attention.h"
#include "tests/train/trajectory.h"

namespace pg {
namespace {

using optest::Faults;
using optest::OpCase;

constexpr size_t kShownFaults = 3;  // of an op

void add(Faults& faults, const Faults& more) {
  faults.insert(faults.end(), more.begin(), more.end());
}

void check_cases(Device& device, OpId op, const std::vector<OpCase>& cases, OpVerdict& verdict) {
  constexpr int kOneThread[] = {1};
  for (const OpCase& op_case : cases) {
    if (op_case.op != op) continue;
    ++verdict.cases;
    add(verdict.faults, check_values(device, op_case));
    add(verdict.faults, check_repeats(device, op_case, kOneThread));
  }
}

void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);  // what a device that hangs was at
}

void say_verdict(const OpVerdict& verdict) {
  const std::string_view name = op_info(verdict.op).name;
  if (verdict.faults.empty()) {
    say(fmt::format("  {:<24} {:>5} {:>8.2f}  right", name, verdict.cases, verdict.seconds));
    return;
  }
  say(fmt::format("  {:<24} {:>5} {:>8.2f}  WRONG: {} faults", name, verdict.cases, verdict.seconds,
                  verdict.faults.size()));
  for (size_t i = 0; i < std::min(verdict.faults.size(), kShownFaults); ++i) {
    say("    " + verdict.faults[i]);
  }
}

// True when all is well.
bool test_link(const SelfTestOptions& options) {
  constexpr int64_t kPieceFloats = int64_t{8} << 20;  // 32 MiB, as a bank of weights
  if (options.places == 1) {
    say("\nranks on several GPUs: skipped, there is one");
    return true;
  }
  const LinkVerdict link = check_link(options.places, options.make_at, kPieceFloats);
  say(fmt::format(
      "\nranks on {} GPUs, {}: exchange {:.1f}, all_gather {:.1f}, reduce_scatter {:.1f} "
      "GB/s into each: {}",
      options.places, link.way, link.exchange_bytes_per_s / 1e9, link.gather_bytes_per_s / 1e9,
      link.scatter_bytes_per_s / 1e9, link.faults.empty() ? "right" : "WRONG"));
  for (const std::string& fault : link.faults) say("    " + fault);
  return link.faults.empty();
}

}  // namespace

OpVerdict check_op(Device& device, OpId op) {
  OpVerdict verdict{.op = op, .cases = 0, .seconds = 0, .faults = {}};
  SteadyClock clock;
  const double start_s = clock.now_s();
  try {
    check_cases(device, op, optest::all_cases(), verdict);
    check_cases(device, op, optest::record_cases(), verdict);
  } catch (const std::exception& error) {
    verdict.faults.push_back(fmt::format("{}: {}", op_info(op).name, error.what()));
  }
  verdict.seconds = clock.now_s() - start_s;
  return verdict;
}

TrainingVerdict check_training(Device& device) {
  const RichTrajectory rich(device.compute_dtype());
  const RichTrajectory::Repeats repeats = rich.compare_repeats(device);
  return {rich.stray_nats(device), rich.bound_nats(), repeats.have_same_bits, repeats.count};
}

bool check_library(Device& device, const LibraryMaker& make) {
  std::unique_ptr<Device> library;
  try {
    library = make();
  } catch (const Error& error) {
    say(fmt::format("\nattention of --device cuda:cudnn: not compared: {}", error.what()));
    return true;
  }
  const AttentionShape timed = attention_of_a_record();
  try {
    const LibraryVerdict verdict =
        compare_attention(device, *library, attention_cases_of_all_sizes(), timed);
    for (const std::string& line : describe_comparison(verdict, timed)) say(line);
    return verdict.faults.empty();
  } catch (const Error& error) {
    say(fmt::format("\nattention of --device cuda:cudnn: WRONG: {}", error.what()));
    return false;
  }
}

int run_self_test(Device& device, const SelfTestOptions& options) {
  SteadyClock clock;
  const double start_s = clock.now_s();
  const DevicePeak peak = device.measure_peak();
  say(fmt::format("self-test of {}: {}, {}", device.name(), peak.description,
                  dtype_name(device.compute_dtype())));
  say(fmt::format("products {:.1f} GFLOP/s, copies {:.1f} GB/s at best",
                  peak.matmul_flops_per_s / 1e9, peak.copy_bytes_per_s / 1e9));
  say(fmt::format("\n  {:<24} {:>5} {:>8}  against the fp64 reference", "op", "cases", "s"));
  std::vector<std::string> wrong;
  int64_t ops = 0, cases = 0;
  for (const OpInfo& op : kOps) {
    if (std::string_view(op.name).find(options.filter) == std::string_view::npos) continue;
    const OpVerdict verdict = check_op(device, op.id);
    say_verdict(verdict);
    ++ops;
    cases += verdict.cases;
    if (!verdict.faults.empty()) wrong.emplace_back(op.name);
  }
  if (ops == 0) {
    throw Error(fmt::format("no op has \"{}\" in its name; `train_gpt docs ops` lists them",
                            options.filter));
  }
  say(fmt::format("{} ops, {} cases: {}", ops, cases,
                  wrong.empty() ? "each value within its bound, the same bits when run again"
                                : fmt::format("WRONG in {} ops", wrong.size())));
  if (!options.ops_only) {
    const TrainingVerdict training = check_training(device);
    const bool is_near = training.stray_nats <= training.bound_nats;
    say(fmt::format(
        "\ntraining, 20 steps of Muon and AdamW: losses {:.2g} nats from the fp64 reference's, at "
        "most {:.2g} by its roundings: {}",
        training.stray_nats, training.bound_nats, is_near ? "right" : "WRONG"));
    say(fmt::format("the same steps, work repeated {} times or all of it given anew: {}",
                    training.repeats,
                    training.repeats_have_same_bits ? "the same bits" : "WRONG, other bits"));
    if (!training.is_right()) wrong.emplace_back("training");
    const bool wants_attention =
        op_info(OpId::kAttentionBackward).name.find(options.filter) != std::string_view::npos;
    if (options.make_library && wants_attention && !check_library(device, options.make_library)) {
      wrong.emplace_back("attention of cuda:cudnn");
    }
    if (options.places > 0 && !test_link(options)) wrong.emplace_back("ranks");
    if (options.measure_speed) options.measure_speed();
  }
  const std::string took = fmt::format("after {:.0f} s", clock.now_s() - start_s);
  if (wrong.empty()) {
    say(fmt::format("\nverdict: pass, {}", took));
    return 0;
  }
  say(fmt::format("\nverdict: FAIL in {}, {}", fmt::join(wrong, ", "), took));
  return 1;
}

}  // namespace pg
