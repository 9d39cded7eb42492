// Every seeded bug must be caught by the checks that the product's kernels pass: a test of the
// tests.
#include "tests/simt/mutants.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "tests/simt/ptx/ptx_harness.h"

namespace pg::kerneltest {
namespace {

// Small enough that what a mutant overwrites stays inside the guards.
constexpr RmsnormCase kRmsnormCases[] = {
    {.rows = 9, .dim = 67},
    {.rows = 9, .dim = 64},
    {.rows = 3, .dim = 64, .offset = 1},
    {.rows = 2, .dim = 40, .accumulate = true},
    {.rows = 2, .dim = 1100},
    {.rows = 1, .dim = 8300},
};
constexpr SoftcapXentCase kSoftcapXentCases[] = {
    {.rows = 9, .vocab = 67, .targets = 3},
    {.rows = 4, .vocab = 300, .targets = 2},
    {.rows = 2, .vocab = 2053, .targets = 3},
    {.rows = 6, .vocab = 67, .targets = 2, .cap = 11.5f, .shift = 5.0f, .width = 15.0f},
    {.rows = 6, .vocab = 67, .targets = 2, .z_loss = 0.01f, .has_row_weights = true},
    {.rows = 20,
     .vocab = 301,
     .targets = 2,
     .cap = 35.0f,
     .has_row_weights = true,
     .has_sides = true},
};

constexpr OptimizerCase kOptimizerCases[] = {
    {.count = 2, .rows = 5, .cols = 67, .gap = 7},
    {.count = 2, .rows = 5, .cols = 67, .gap = 7, .flag = true},
    {.count = 2, .rows = 40, .cols = 36, .gap = 8, .flag = true},
    {.rows = 3, .cols = 40, .offset = 1},
    {.rows = 3, .cols = 40, .has_nan_coefficient = true},
};
constexpr OptimizerCase kLongRow = {.rows = 2, .cols = 4103, .flag = true};
constexpr OptimizerCase kChunksOfRows = {.rows = 70, .cols = 300, .flag = true};
constexpr OptimizerCase kPiecesOfSquares = {.rows = 2, .cols = 8200};
constexpr LogProbsCase kLogProbsCases[] = {
    {.rows = 9, .vocab = 67},
    {.rows = 2, .vocab = 1030},
    {.rows = 2, .vocab = 67, .cap = 0.0f, .mean = -500},
    {.rows = 1, .vocab = 8203},
};

constexpr ElementwiseCase kElementwiseCases[] = {
    {.rows = 3, .dim = 7},
    {.rows = 35, .dim = 24, .gap = 8, .accumulate = true},
};

// The first error of check(family, shape) over the shapes.
template <class Family, class Check, class Shapes>
std::string check_all(const Family& family, const Check& check, const Shapes& shapes) {
  std::string error;
  for (const auto& shape : shapes) {
    if (error.empty()) error = check(family, shape);
  }
  return error;
}

std::string check_rmsnorms(const RmsnormFamily& family) {
  return check_all(family, check_rmsnorm, kRmsnormCases);
}
std::string check_softcap_xents(const SoftcapXentFamily& family) {
  return check_all(family, check_softcap_xent, kSoftcapXentCases);
}
std::string check_adamws(const AdamwFamily& family) {
  return check_all(family, check_adamw, kOptimizerCases);
}
std::string check_muons(const MuonFamily& family) {
  const std::string error = check_all(family, check_muon, kOptimizerCases);
  return error.empty() ? check_muon(family, kLongRow) : error;
}
std::string check_neuron_updates(const NeuronsFamily& family) {
  const std::string error = check_all(family, check_neurons, kOptimizerCases);
  return error.empty() ? check_neurons(family, kChunksOfRows) : error;
}
std::string check_newton_schulzes(const NewtonSchulzFamily& family) {
  const std::string error = check_all(family, check_newton_schulz, kOptimizerCases);
  return error.empty() ? check_newton_schulz(family, kPiecesOfSquares) : error;
}
std::string check_reductions(const ReduceFamily& family) {
  constexpr SumCase kSums = {.matrices = 2, .elements = 16384 + 1028, .gap = 4};
  std::string error = check_clip(family);
  if (error.empty()) error = check_tree(family, 257);
  if (error.empty()) error = check_tree(family, 2049);
  return error.empty() ? check_sums(family, kSums) : error;
}
std::string check_distributions(const LogProbsFamily& family) {
  return check_all(family, check_log_probs, kLogProbsCases);
}

struct CheckElementwise {
  template <class Family>
  std::string operator()(const Family& family) const {
    const auto check = [](const Family& f, const ElementwiseCase& c) {
      return check_elementwise(f, c);
    };
    return check_all(family, check, kElementwiseCases);
  }
};

template <class Family, class Check>
void expect_caught(const std::vector<Mutant<Family>>& mutants, const Check& check) {
  EXPECT_FALSE(mutants.empty());
  for (const auto& mutant : mutants) {
    const std::string error = check(mutant.family);
    EXPECT_NE(error, "") << "not caught: " << mutant.name;
    // How it was caught, for --gtest_output=xml.
    testing::Test::RecordProperty(mutant.name, error);
  }
}

TEST(Mutants, OfRmsnormAreAllCaught) { expect_caught(rmsnorm_mutants(), check_rmsnorms); }
TEST(Mutants, OfSoftcapXentAreAllCaught) {
  expect_caught(softcap_xent_mutants(), check_softcap_xents);
}
TEST(Mutants, OfAdamwAreAllCaught) { expect_caught(adamw_mutants(), check_adamws); }
TEST(Mutants, OfMuonAreAllCaught) { expect_caught(muon_mutants(), check_muons); }
TEST(Mutants, OfNeuronsAreAllCaught) { expect_caught(neurons_mutants(), check_neuron_updates); }
TEST(Mutants, OfNewtonSchulzAreAllCaught) {
  expect_caught(newton_schulz_mutants(), check_newton_schulzes);
}
TEST(Mutants, OfReduceAreAllCaught) { expect_caught(reduce_mutants(), check_reductions); }
TEST(Mutants, OfLogProbsAreAllCaught) { expect_caught(log_probs_mutants(), check_distributions); }

TEST(Mutants, OfElementwiseOpsAreAllCaught) {
  expect_caught(add_scaled_mutants(), CheckElementwise());
  expect_caught(mix_mutants(), CheckElementwise());
  expect_caught(leaky_relu2_mutants(), CheckElementwise());
  expect_caught(swiglu_mutants(), CheckElementwise());
  expect_caught(gated_mix_mutants(), CheckElementwise());
  expect_caught(blend_mutants(), CheckElementwise());
}
TEST(Mutants, OfTotalSumsAreAllCaught) { expect_caught(total_sums_mutants(), check_total_sums); }

// The same bugs compiled by nvcc, run by their PTX; what a mutant launches beside its own kernels is the
// product's.
template <class Family, class Check>
void expect_caught_by_ptx(const std::string& name, const std::vector<Mutant<Family>>& mutants,
                          const Family& product, const Check& check) {
  if (const std::string reason = ptx::why_no_ptx(); !reason.empty()) GTEST_SKIP() << reason;
  std::vector<std::string> paths = ptx::ptx_files(ptx::distinct_architectures().front());
  paths.push_back(ptx::ptx_of_mutants(name));
  ptx::PtxKernels kernels{ptx::Modules(paths)};
  const simt::ScopedSubstitute by_ptx(kernels);
  for (const auto& mutant : mutants) {
    const std::string error = check(mutant.family);
    EXPECT_NE(error, "") << "not caught: " << mutant.name;
    EXPECT_EQ(error.find("PTX"), std::string::npos) << mutant.name << " did not run: " << error;
    testing::Test::RecordProperty(mutant.name, error);
  }
  EXPECT_EQ(check(product), "");
}

TEST(Mutants, OfReduceAreAllCaughtByPtx) {
  using namespace kernels;
  expect_caught_by_ptx<ReduceFamily>(
      "reduce", reduce_mutants(),
      {&sum_pieces_of_values, &sum_pieces_of_squares, &sum_tree, &clip_coefficient},
      check_reductions);
}
TEST(Mutants, OfMixAreAllCaughtByPtx) {
  expect_caught_by_ptx<MixFamily<bf16>>("mix", mix_mutants(),
                                        {&kernels::mix<bf16>, &kernels::mix_backward<bf16>},
                                        CheckElementwise());
}
TEST(Mutants, OfMuonAreAllCaughtByPtx) {
  expect_caught_by_ptx<MuonFamily>("muon", muon_mutants(),
                                   {&kernels::muon_momentum, &kernels::apply_update}, check_muons);
}

// The first failure of small cases of the ops that a mutated kernel file serves: values of all before
// schedules, which take longer.
std::string find_failure(const MakeOps& make, const std::vector<OpId>& ops) {
  constexpr int64_t kMaxElements = 25000;
  for (auto* const check : {&check_op_values, &check_op_schedules}) {
    for (const OpId op : ops) {
      for (const optest::OpCase& op_case : small_cases(op, kMaxElements, SIZE_MAX)) {
        for (const DType compute : {DType::kBF16, DType::kF32}) {
          const std::string error = check(make, compute, op_case);
          if (!error.empty()) return error;
        }
      }
    }
  }
  return "";
}

TEST(Mutants, OfOpsAreAllCaught) {
  struct KernelFile {
    std::vector<OpMutant> mutants;
    std::vector<OpId> ops;
  };
  const KernelFile files[] = {
      {qk_norm_rope_mutants(), {OpId::kQkNormRope, OpId::kQkNormRopeBackward}},
      {xsa_mutants(), {OpId::kXsa, OpId::kXsaBackward}},
      {mix_rmsnorm_mutants(), {OpId::kMixRmsnorm, OpId::kMixRmsnormBackward}},
      {gate_heads_mutants(), {OpId::kGateHeads, OpId::kGateHeadsBackward}},
      {mix_layers_mutants(), {OpId::kMixLayers, OpId::kMixLayersBackward}},
      {scale_rows_mutants(), {OpId::kScaleRows, OpId::kScaleRowsBackward}},
      {cast_mutants(), {OpId::kCast, OpId::kLerp}},
  };
  for (const KernelFile& file : files) {
    for (const OpMutant& mutant : file.mutants) {
      const std::string error = find_failure(mutant.make, file.ops);
      EXPECT_NE(error, "") << "not caught: " << mutant.name;
      RecordProperty(mutant.name, error);  // how it was caught, for --gtest_output=xml
    }
  }
}

TEST(Mutants, TheProductPassesTheSameCases) {
  using namespace kernels;
  EXPECT_EQ(check_rmsnorms({&rmsnorm<float>, &rmsnorm<bf16>, &rmsnorm_backward<float>,
                            &rmsnorm_backward<bf16>}),
            "");
  EXPECT_EQ(check_softcap_xents({&softcap_xent, &softcap_xent_backward<float>,
                                 &softcap_xent_backward<bf16>, &softcap_xent_sides_backward}),
            "");
  EXPECT_EQ(check_adamws({&adamw}), "");
  EXPECT_EQ(check_muons({&muon_momentum, &apply_update}), "");
  EXPECT_EQ(check_neuron_updates({&normuon, &balance_neurons}), "");
  EXPECT_EQ(check_newton_schulzes({&start_newton_schulz<bf16>, &sum_almost_orthogonal,
                                   &scale_gram<bf16>, &end_newton_schulz<bf16>}),
            "");
  EXPECT_EQ(check_reductions(
                {&sum_pieces_of_values, &sum_pieces_of_squares, &sum_tree, &clip_coefficient}),
            "");
  EXPECT_EQ(check_distributions({&softcap_log_probs}), "");
  EXPECT_EQ(check_total_sums({&sum_totals}), "");
}

}  // namespace
}  // namespace pg::kerneltest
