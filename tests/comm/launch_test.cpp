// What a launcher's variables say, and what is made of it.
#include "src/device/comm/launch.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "src/base/error.h"
#include "src/base/threads.h"
#include "src/device/comm/local_ranks.h"
#include "src/device/comm/share_cores.h"

namespace pg {
namespace {

using Variables = std::map<std::string, std::string>;
using Starter = Launch::Starter;
using Kind = RankPlan::Kind;

Launch detect(const Variables& variables) {
  return detect_launch(
      [&](const char* name) {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
      },
      "node7.cluster");
}

void expect_launch(const Variables& variables, Starter starter, int rank, int ranks) {
  const Launch launch = detect(variables);
  EXPECT_EQ(static_cast<int>(launch.starter), static_cast<int>(starter));
  EXPECT_EQ(launch.rank, rank);
  EXPECT_EQ(launch.ranks, ranks);
}

std::string error_of(const Variables& variables) {
  try {
    detect(variables);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

Variables torchrun(int rank, int ranks, const std::string& master) {
  return {{"RANK", std::to_string(rank)},
          {"WORLD_SIZE", std::to_string(ranks)},
          {"LOCAL_RANK", std::to_string(rank)},
          {"MASTER_ADDR", master},
          {"MASTER_PORT", "29500"}};
}

TEST(DetectLaunch, ReadsEachStarter) {
  expect_launch({}, Starter::kNone, 0, 1);
  expect_launch({{"OMPI_COMM_WORLD_RANK", "2"}, {"OMPI_COMM_WORLD_SIZE", "4"}}, Starter::kMpirun, 2,
                4);
  expect_launch({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}}, Starter::kMpirun, 1, 2);
  expect_launch({{"SLURM_PROCID", "5"}, {"SLURM_NTASKS", "8"}, {"SLURM_STEP_NUM_TASKS", "8"}},
                Starter::kSrun, 5, 8);
  expect_launch(torchrun(3, 8, "localhost"), Starter::kTorchrun, 3, 8);
}

TEST(DetectLaunch, TakesAnSbatchScriptForOneProcess) {
  expect_launch({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}}, Starter::kNone, 0, 1);
}

TEST(DetectLaunch, TakesTheInnermostOfSeveral) {
  // mpirun within an srun step of one task.
  expect_launch({{"OMPI_COMM_WORLD_RANK", "3"},
                 {"OMPI_COMM_WORLD_SIZE", "4"},
                 {"SLURM_PROCID", "0"},
                 {"SLURM_STEP_NUM_TASKS", "1"}},
                Starter::kMpirun, 3, 4);
  // torchrun within srun.
  Variables both = torchrun(3, 8, "node6");
  both["SLURM_PROCID"] = "0";
  both["SLURM_STEP_NUM_TASKS"] = "2";
  expect_launch(both, Starter::kTorchrun, 3, 8);
  // A script that sets torchrun's variables from srun's.
  Variables copied = torchrun(3, 8, "node6");
  copied["SLURM_PROCID"] = "3";
  copied["SLURM_STEP_NUM_TASKS"] = "8";
  expect_launch(copied, Starter::kSrun, 3, 8);
}

TEST(DetectLaunch, KnowsWhenTorchrunsRanksAreOnOneMachine) {
  for (const char* master : {"localhost", "127.0.0.1", "::1", "node7.cluster", "node7"}) {
    EXPECT_TRUE(detect(torchrun(1, 2, master)).are_on_one_machine) << master;
  }
  for (const char* master : {"10.0.0.5", "node8", "node77"}) {
    EXPECT_FALSE(detect(torchrun(1, 2, master)).are_on_one_machine) << master;
  }
  Variables second_node = torchrun(3, 4, "node7");
  second_node["LOCAL_RANK"] = "1";
  EXPECT_FALSE(detect(second_node).are_on_one_machine);
  Variables first_node = torchrun(1, 4, "localhost");
  first_node["LOCAL_WORLD_SIZE"] = "2";
  EXPECT_FALSE(detect(first_node).are_on_one_machine);
  Variables all_here = torchrun(1, 4, "10.0.0.5");
  all_here["LOCAL_WORLD_SIZE"] = "4";
  EXPECT_TRUE(detect(all_here).are_on_one_machine);
}

TEST(DetectLaunch, LeavesVariablesOfOthersAlone) {
  expect_launch({{"RANK", "captain"}}, Starter::kNone, 0, 1);
  expect_launch({{"RANK", "1"}, {"WORLD_SIZE", "2"}}, Starter::kNone, 0, 1);
}

TEST(DetectLaunch, RefusesWhatMakesNoSense) {
  EXPECT_EQ(error_of({{"OMPI_COMM_WORLD_RANK", "4"}, {"OMPI_COMM_WORLD_SIZE", "4"}}),
            "OMPI_COMM_WORLD_RANK in the environment is \"4\", not a number from 0 to 3; unset it, "
            "or start the program by mpirun");
  for (const char* bad : {"", "-1", "two", "1x", "0", "99999999999"}) {
    Variables variables = torchrun(0, 2, "localhost");
    variables["WORLD_SIZE"] = bad;
    EXPECT_NE(error_of(variables).find("WORLD_SIZE in the environment is \"" + std::string(bad)),
              std::string::npos)
        << bad;
  }
}

Launch launch_of(Starter starter, int rank, int ranks, bool are_on_one_machine = true) {
  return {starter, rank, ranks, are_on_one_machine, "10.0.0.5"};
}

std::string refusal_of(const Launch& launch, int wanted, std::string_view mpi_refusal) {
  try {
    plan_ranks(launch, wanted, mpi_refusal);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(PlanRanks, WithoutALauncherServesWhatIsAskedFor) {
  EXPECT_EQ(plan_ranks(Launch(), 0, "").ranks, 1);
  EXPECT_EQ(plan_ranks(Launch(), 4, "").ranks, 4);
  EXPECT_EQ(plan_ranks(launch_of(Starter::kMpirun, 0, 1), 4, "none").kind, Kind::kThreads);
}

TEST(PlanRanks, JoinsProcessesByMpi) {
  const RankPlan plan = plan_ranks(launch_of(Starter::kMpirun, 3, 4), 4, "");
  EXPECT_EQ(plan.kind, Kind::kMpi);
  EXPECT_EQ(plan.rank, 3);
  EXPECT_EQ(plan.ranks, 4);
  EXPECT_EQ(plan.note, "");
}

TEST(PlanRanks, ServesTorchrunsRanksByTheFirstProcess) {
  const RankPlan first = plan_ranks(launch_of(Starter::kTorchrun, 0, 8), 0, "");
  EXPECT_EQ(first.kind, Kind::kThreads);
  EXPECT_EQ(first.ranks, 8);
  EXPECT_EQ(first.note, "torchrun: this process serves all 8 ranks by threads");
  const RankPlan other = plan_ranks(launch_of(Starter::kTorchrun, 5, 8), 0, "");
  EXPECT_EQ(other.kind, Kind::kNone);
  EXPECT_EQ(other.note, "torchrun: rank 5 of 8 leaves, the process of rank 0 serves it");
}

// Each is told by rank 0 alone; the others leave without a word.
TEST(PlanRanks, RefusesOnce) {
  struct Case {
    Starter starter;
    int wanted;
    bool are_on_one_machine;
    const char *mpi_refusal, *message;
  };
  const std::vector<Case> cases = {
      {Starter::kMpirun, 2, true, "",
       "--ranks \"2\" where mpirun started 4 processes; leave --ranks out"},
      {Starter::kSrun, 0, true, "no MPI: \"x\"; install it",
       "srun started 4 processes, but there is no MPI: \"x\"; install it"},
      {Starter::kTorchrun, 0, false, "",
       "torchrun started 4 processes on several machines (MASTER_ADDR is \"10.0.0.5\"), which only "
       "MPI joins here; use: mpirun -np 4 --hostfile HOSTS train_gpt ..."},
  };
  for (const Case& c : cases) {
    const auto launch = [&](int rank) {
      return launch_of(c.starter, rank, 4, c.are_on_one_machine);
    };
    EXPECT_EQ(refusal_of(launch(0), c.wanted, c.mpi_refusal), c.message);
    for (int rank = 1; rank < 4; ++rank) {
      const RankPlan plan = plan_ranks(launch(rank), c.wanted, c.mpi_refusal);
      EXPECT_EQ(plan.kind, Kind::kNone);
      EXPECT_EQ(plan.note, "");
    }
  }
}

TEST(LocalRanks, RunsThoseOfThePlan) {
  LocalRanks three({Kind::kThreads, 0, 3, ""});
  EXPECT_TRUE(three.has_first());
  for (int phase = 0; phase < 2; ++phase) {
    std::vector<int> seen(3);
    three.run([&](Comm& comm) { seen[static_cast<size_t>(comm.rank())] = comm.ranks(); });
    EXPECT_EQ(seen, std::vector<int>(3, 3));
  }
  LocalRanks none({Kind::kNone, 1, 3, ""});
  EXPECT_TRUE(none.has_none() && !none.has_first());
  none.run([&](Comm&) { FAIL() << "there is nothing to run"; });
}

}  // namespace
}  // namespace pg
