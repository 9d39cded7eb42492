// Community variables without a key here: what would be ignored is refused.
#include "harness/recipe/foreign_variables.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "harness/recipe/config_fields.h"
#include "src/base/error.h"

namespace pg {
namespace {

std::string error_with(const std::map<std::string, std::string>& variables) {
  const EnvironmentLookup environment = [&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
  try {
    load_recipe("", {}, environment);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ForeignVariables, WhatThisBuildWouldIgnoreIsRefusedByName) {
  EXPECT_EQ(error_with({{"LATE_QAT", "2"}, {"MATRIX_LR", "0.02"}}),
            "environment variable LATE_QAT is set: \"2\", but late quantisation-aware "
            "training is train.late_qat_lr; unset it");
  EXPECT_EQ(error_with({{"MLP_MULT", "3"}}),
            "environment variable MLP_MULT is set: \"3\", but the MLP's width is "
            "model.mlp_hidden; unset it");
  EXPECT_EQ(error_with({{"LATE_QAT", "\x1b[31m"}}),
            "environment variable LATE_QAT is set: \"\\x1b[31m\", but late quantisation-aware "
            "training is train.late_qat_lr; unset it");
}

TEST(ForeignVariables, WhatIsOffOrDoneAnywayPasses) {
  for (const char* off : {"", "0", "0.0", "0e3", "false", "False", "OFF", "no", "none"}) {
    EXPECT_EQ(error_with({{"LATE_QAT", off}, {"TTT_ENABLED", off}}), "") << off;
  }
  for (const char* on : {"", "1", "1.0", "true", "True", "yes"}) {
    EXPECT_EQ(error_with({{"EVAL_INCLUDE_TAIL", on}}), "") << on;
  }
  EXPECT_EQ(error_with({}), "");
  EXPECT_EQ(error_with({{"PATH", "1"}, {"WARMUP_STEPS", "20"}}), "");
}

TEST(ForeignVariables, OffIsNoAnswerWhereOnIsDone) {
  EXPECT_NE(error_with({{"EVAL_INCLUDE_TAIL", "0"}}), "");
  EXPECT_NE(error_with({{"EMA_ENABLED", "1"}}), "");
  EXPECT_NE(error_with({{"EMA_ENABLED", "0"}}), "");
  EXPECT_NE(error_with({{"LATE_QAT", "0x"}}), "");
}

TEST(ForeignVariables, NoneHasAKeyAndTheKeysTheyNameExist) {
  std::set<std::string> keys, variables;
  const Recipe recipe;
  visit_recipe_fields(recipe, [&](const char* section, const FieldInfo& info, const auto&) {
    keys.insert(std::string(section) + "." + info.key);
    variables.insert(info.env);
  });
  for (const ForeignVariable& v : foreign_variables()) {
    EXPECT_TRUE(variables.insert(v.name).second) << v.name;
    const std::string reason = v.reason;
    for (size_t dot = reason.find('.'); dot != std::string::npos; dot = reason.find('.', dot + 1)) {
      const size_t begin = reason.rfind(' ', dot) + 1;
      const size_t end = std::min(reason.find_first_of(" ,", dot), reason.size());
      EXPECT_TRUE(keys.contains(reason.substr(begin, end - begin))) << reason;
    }
  }
}

TEST(ForeignVariables, RanksOfTorchrunAreReadElsewhere) {
  EXPECT_EQ(error_with({{"WORLD_SIZE", "8"}, {"RANK", "3"}, {"LOCAL_RANK", "3"}}), "");
}

TEST(ForeignVariables, ANameThatResemblesOneIsDoubted) {
  EXPECT_EQ(list_doubtful_variables({"MUON_MOMENTM"}).at(0),
            "environment variable MUON_MOMENTM does nothing, it is no recipe key; did you mean "
            "MUON_MOMENTUM? \"train_gpt recipe --help-keys\" lists those that are");
  EXPECT_EQ(list_doubtful_variables({"MTP_DEPTH", "TTT_OPTIMIZER", "MAX_WALLCLOCK_SECOND"}).size(),
            3u);
  EXPECT_TRUE(list_doubtful_variables({"MUON_MOMENTUM", "MTP_NUM_HEADS", "MTP_LOSS_WEIGHT",
                                       "WARMUP_STEPS", "MASTER_PORT"})
                  .empty());
}

TEST(ForeignVariables, NamesOfTheSystemAreNotDoubted) {
  EXPECT_TRUE(list_doubtful_variables({"PATH",
                                       "HOME",
                                       "SHELL",
                                       "USER",
                                       "LANG",
                                       "LC_ALL",
                                       "TERM",
                                       "PWD",
                                       "OLDPWD",
                                       "SSH_AUTH_SOCK",
                                       "XDG_DATA_HOME",
                                       "XDG_RUNTIME_DIR",
                                       "OMP_NUM_THREADS",
                                       "OMP_PROC_BIND",
                                       "CUDA_VISIBLE_DEVICES",
                                       "NCCL_DEBUG",
                                       "LD_LIBRARY_PATH",
                                       "SLURM_JOB_ID",
                                       "OMPI_COMM_WORLD_RANK",
                                       "OMPI_COMM_WORLD_SIZE",
                                       "ONEDNN_VERBOSE",
                                       "ONEDNN_MAX_CPU_ISA",
                                       "DATA_DIR",
                                       "TORCH_HOME",
                                       "HF_HOME",
                                       "PYTHON_PATH",
                                       "LS_COLORS",
                                       "SSH_CLIENT",
                                       "DEBIAN_FRONTEND",
                                       "CCACHE_DIR",
                                       "KUBERNETES_PORT"})
                  .empty());
}

}  // namespace
}  // namespace pg
