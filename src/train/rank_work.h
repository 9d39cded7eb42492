// Which rank steps which parameters: Parallel Muon (formulas.md 3.4). Every matrix has one owner,
// whole, because Newton-Schulz needs it whole; the rest is cut by elements. The table is a function
// of the layout and the number of ranks alone, and what is computed does not depend on it.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "src/plan/weights.h"

namespace pg {

// Floating-point operations of one iteration: A = x xT and A A, of which a triangle is enough, and
// their sum times x, on the smaller side.
constexpr int64_t newton_schulz_flops(int64_t rows, int64_t cols) {
  const int64_t side = std::min(rows, cols), length = std::max(rows, cols);
  return side * side * (3 * length + side);
}

// Numbers that NorMuon keeps for a matrix: enough for its rows as for its columns.
constexpr int64_t count_neurons(const ParamSpec& spec) {
  return spec.group == ParamGroup::kMatrix ? std::max(spec.rows, spec.cols) : 0;
}

// Elements that AdamW steps, at one rate.
struct AdamWWork {
  ParamGroup group = ParamGroup::kScalar;
  int64_t offset = 0, elements = 0;  // in the masters, the gradients and the state
  int64_t first_sum = 0;             // where the sums of their squares go: Optimizer::square_sums()
};

// Matrices of one shape that Muon steps together.
struct MuonWork {
  int64_t offset = 0;  // as above
  MatrixBatch shape;
  int64_t first_sum = 0, sums_stride = 0;
  int64_t first_neuron = 0, neurons_stride = 0;  // Optimizer::neuron_moments()
  int bank = 0;
  int64_t update_offset = 0;  // in the memory of the bank's updates, which lie as its matrices do
};

// A part of memory, in elements.
struct Stretch {
  int64_t offset = 0, elements = 0;
};

struct RankWork {
  std::vector<AdamWWork> adamw;
  std::vector<MuonWork> muon;  // bank by bank
  // Of the parameters that are this rank's: those of AdamW, and of each bank.
  std::vector<Stretch> adamw_stretches;
  std::vector<std::vector<Stretch>> bank_stretches;
  std::vector<Stretch> sum_stretches;     // of the squares that this rank sums
  std::vector<Stretch> neuron_stretches;  // of its matrices' neurons
};

// For each rank; all of them see the same table. The squares of the gradient are summed in pieces of
// kSumPiece elements, which begin anew with every matrix: `sums` pieces in all.
struct WorkTable {
  std::vector<RankWork> ranks;
  int banks = 0;                // of matrices; the one with the most work first
  int64_t update_elements = 0;  // of the largest bank
  int64_t sums = 0;
  int64_t neurons = 0;  // of all matrices
};
WorkTable divide_work(const Weights& weights, int ranks);

}  // namespace pg
