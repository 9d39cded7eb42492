#include "src/device/comm/launch.h"

#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "src/base/error.h"
#include "src/device/comm/load_mpi.h"

namespace pg {
namespace {

int read_number(const LookUpVariable& look_up, const char* name, int least, int most) {
  const std::string_view text = look_up(name);
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least || number > most) {
    throw Error(std::string(name) + " in the environment is \"" + std::string(text) +
                "\", not a number from " + std::to_string(least) + " to " + std::to_string(most) +
                "; unset it, or start the program by mpirun");
  }
  return number;
}

// Rank and count, where both variables are set and there are several.
std::optional<Launch> read_launch(const LookUpVariable& look_up, Launch::Starter starter,
                                  const char* rank_name, const char* count_name) {
  constexpr int kMostRanks = 1 << 20;
  if (look_up(rank_name) == nullptr || look_up(count_name) == nullptr) return std::nullopt;
  Launch launch;
  launch.starter = starter;
  launch.ranks = read_number(look_up, count_name, 1, kMostRanks);
  launch.rank = read_number(look_up, rank_name, 0, launch.ranks - 1);
  return launch;
}

bool is_this_machine(std::string_view address, std::string_view host) {
  const auto short_name = [](std::string_view name) { return name.substr(0, name.find('.')); };
  return address == "localhost" || address == "::1" || address.starts_with("127.") ||
         address == host || (!host.empty() && short_name(address) == short_name(host));
}

std::optional<Launch> read_torchrun(const LookUpVariable& look_up, std::string_view host) {
  const char* const master = look_up("MASTER_ADDR");
  if (master == nullptr) return std::nullopt;  // then the other two are somebody else's
  std::optional<Launch> launch =
      read_launch(look_up, Launch::Starter::kTorchrun, "RANK", "WORLD_SIZE");
  if (!launch) return std::nullopt;
  launch->master = master;
  const int last = launch->ranks - 1;
  if (look_up("LOCAL_WORLD_SIZE") != nullptr) {
    launch->are_on_one_machine =
        read_number(look_up, "LOCAL_WORLD_SIZE", 1, launch->ranks) == launch->ranks;
  } else {
    launch->are_on_one_machine = is_this_machine(master, host) &&
                                 (look_up("LOCAL_RANK") == nullptr ||
                                  read_number(look_up, "LOCAL_RANK", 0, last) == launch->rank);
  }
  return launch;
}

const char* name_of(Launch::Starter starter) {
  switch (starter) {
    case Launch::Starter::kSrun:
      return "srun";
    case Launch::Starter::kTorchrun:
      return "torchrun";
    default:
      return "mpirun";
  }
}

std::string describe_start(const Launch& launch) {
  return std::string(name_of(launch.starter)) + " started " + std::to_string(launch.ranks) +
         " processes";
}

// What is wrong with the plan, or empty.
std::string find_refusal(const Launch& launch, int wanted_ranks, std::string_view mpi_refusal) {
  const std::string count = std::to_string(launch.ranks);
  if (wanted_ranks != 0 && wanted_ranks != launch.ranks) {
    return "--ranks \"" + std::to_string(wanted_ranks) + "\" where " + describe_start(launch) +
           "; leave --ranks out";
  }
  if (launch.starter != Launch::Starter::kTorchrun) {
    return mpi_refusal.empty()
               ? ""
               : describe_start(launch) + ", but there is " + std::string(mpi_refusal);
  }
  if (launch.are_on_one_machine) return "";
  return describe_start(launch) + " on several machines (MASTER_ADDR is \"" + launch.master +
         "\"), which only MPI joins here; use: mpirun -np " + count +
         " --hostfile HOSTS train_gpt ...";
}

}  // namespace

Launch detect_launch(const LookUpVariable& look_up, std::string_view host) {
  using enum Launch::Starter;
  if (const auto launch =
          read_launch(look_up, kMpirun, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")) {
    return *launch;
  }
  std::optional<Launch> launch = read_launch(look_up, kMpirun, "PMI_RANK", "PMI_SIZE");
  // SLURM_NTASKS alone may be that of an sbatch script, which is one process.
  if (look_up("SLURM_PROCID") != nullptr && look_up("SLURM_STEP_NUM_TASKS") != nullptr) {
    launch = read_launch(look_up, kSrun, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS");
  }
  // Scripts for srun often set torchrun's variables from SLURM's; where they differ, a torchrun was
  // started by srun and started this process.
  const std::optional<Launch> torchrun = read_torchrun(look_up, host);
  if (torchrun && (!launch || torchrun->ranks != launch->ranks || torchrun->rank != launch->rank)) {
    return *torchrun;
  }
  return launch.value_or(Launch());
}

Launch detect_launch() {
  std::array<char, 256> host = {};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  return detect_launch([](const char* name) { return std::getenv(name); }, host.data());
}

RankPlan plan_ranks(const Launch& launch, int wanted_ranks, std::string_view mpi_refusal) {
  using enum RankPlan::Kind;
  if (launch.ranks == 1) return {kThreads, 0, wanted_ranks == 0 ? 1 : wanted_ranks, ""};
  const std::string refusal = find_refusal(launch, wanted_ranks, mpi_refusal);
  if (!refusal.empty()) {
    if (launch.rank == 0) throw Error(refusal);
    return {kNone, launch.rank, launch.ranks, ""};
  }
  if (launch.starter != Launch::Starter::kTorchrun) return {kMpi, launch.rank, launch.ranks, ""};
  const std::string count = std::to_string(launch.ranks);
  if (launch.rank == 0) {
    return {kThreads, 0, launch.ranks,
            "torchrun: this process serves all " + count + " ranks by threads"};
  }
  return {kNone, launch.rank, launch.ranks,
          "torchrun: rank " + std::to_string(launch.rank) + " of " + count +
              " leaves, the process of rank 0 serves it"};
}

RankPlan plan_ranks(const Launch& launch, int wanted_ranks) {
  const bool needs_mpi = launch.ranks > 1 && launch.starter != Launch::Starter::kTorchrun;
  return plan_ranks(launch, wanted_ranks, needs_mpi ? why_no_mpi() : "");
}

}  // namespace pg
