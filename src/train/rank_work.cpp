#include "src/train/rank_work.h"

#include <algorithm>

#include "src/base/check.h"

namespace pg {
namespace {

int64_t matrix_cost(const ParamSpec& spec) { return newton_schulz_flops(spec.rows, spec.cols); }

struct Bank {
  int64_t cost = 0, elements = 0;  // in memory
  std::vector<int> matrices;       // in the order of memory
};

class Division {
 public:
  Division(const Weights& weights, int ranks)
      : weights_(weights),
        first_sum_(static_cast<size_t>(weights.count()), -1),
        first_neuron_(first_sum_),
        update_offset_(first_sum_) {
    table_.ranks.resize(static_cast<size_t>(ranks));
    for (const ParamRange& range : weights.layout().trained_ranges()) {
      if (range.group != ParamGroup::kMatrix) divide_range(range);
    }
    list_banks();
    divide_matrices();
    for (RankWork& rank : table_.ranks) {
      merge(rank.adamw_stretches);
      for (std::vector<Stretch>& bank : rank.bank_stretches) merge(bank);
      merge(rank.sum_stretches);
      merge(rank.neuron_stretches);
    }
  }
  WorkTable take() { return std::move(table_); }

 private:
  void divide_range(const ParamRange& range) {
    PG_CHECK(range.offset == range.gradient_offset, "all parameters are trained");
    const int64_t pieces = count_sum_pieces(range.elements);
    const auto ranks = static_cast<int64_t>(table_.ranks.size());
    for (int64_t r = 0; r < ranks; ++r) {
      const int64_t begin = pieces * r / ranks * kSumPiece;
      const int64_t end = std::min(pieces * (r + 1) / ranks * kSumPiece, range.elements);
      if (begin >= end) continue;
      RankWork& rank = table_.ranks[static_cast<size_t>(r)];
      const int64_t first_sum = table_.sums + begin / kSumPiece;
      rank.adamw.push_back({range.group, range.offset + begin, end - begin, first_sum});
      rank.adamw_stretches.push_back({range.offset + begin, end - begin});
      rank.sum_stretches.push_back({first_sum, count_sum_pieces(end - begin)});
    }
    table_.sums += pieces;
  }

  // The matrices of each bank, in the order of memory. Where two ranges have matrices of one shape,
  // both are one bank: these go through Newton-Schulz together.
  void list_banks() {
    for (const ParamRange& range : weights_.layout().trained_ranges()) {
      if (range.group != ParamGroup::kMatrix) continue;
      std::vector<int> matrices;
      for (const int i : weights_.layout().order()) {
        const int64_t at = weights_.layout().offset(i) - range.offset;
        if (at < 0 || at >= range.elements) continue;
        matrices.push_back(i);
        first_sum_[static_cast<size_t>(i)] = table_.sums;
        table_.sums += count_sum_pieces(weights_.spec(i).elements());
        first_neuron_[static_cast<size_t>(i)] = table_.neurons;
        table_.neurons += count_neurons(weights_.spec(i));
      }
      Bank& bank = bank_of(matrices);
      for (const int i : matrices) {
        bank.cost += matrix_cost(weights_.spec(i));
        update_offset_[static_cast<size_t>(i)] =
            bank.elements + weights_.layout().offset(i) - range.offset;
      }
      bank.matrices.insert(bank.matrices.end(), matrices.begin(), matrices.end());
      bank.elements += range.elements;
      table_.update_elements = std::max(table_.update_elements, bank.elements);
    }
    std::stable_sort(banks_.begin(), banks_.end(),
                     [](const Bank& a, const Bank& b) { return a.cost > b.cost; });
    table_.banks = static_cast<int>(banks_.size());
    for (RankWork& rank : table_.ranks) rank.bank_stretches.resize(banks_.size());
  }

  // The one that has a matrix of the shape of one of these, or a new one.
  Bank& bank_of(const std::vector<int>& matrices) {
    const auto has_shape_of = [&](const Bank& bank) {
      return std::find_first_of(bank.matrices.begin(), bank.matrices.end(), matrices.begin(),
                                matrices.end(), [&](int a, int b) {
                                  return weights_.spec(a).rows == weights_.spec(b).rows &&
                                         weights_.spec(a).cols == weights_.spec(b).cols;
                                }) != bank.matrices.end();
    };
    const auto found = std::find_if(banks_.begin(), banks_.end(), has_shape_of);
    return found != banks_.end() ? *found : banks_.emplace_back();
  }

  // Largest first, each to the rank that has the least so far.
  void divide_matrices() {
    std::vector<int> by_cost;
    for (const Bank& bank : banks_) {
      by_cost.insert(by_cost.end(), bank.matrices.begin(), bank.matrices.end());
    }
    std::stable_sort(by_cost.begin(), by_cost.end(), [&](int a, int b) {
      return matrix_cost(weights_.spec(a)) > matrix_cost(weights_.spec(b));
    });
    std::vector<int64_t> load(table_.ranks.size(), 0);
    std::vector<size_t> owner(static_cast<size_t>(weights_.count()), 0);
    for (const int i : by_cost) {
      const auto least =
          static_cast<size_t>(std::min_element(load.begin(), load.end()) - load.begin());
      owner[static_cast<size_t>(i)] = least;
      load[least] += matrix_cost(weights_.spec(i));
    }
    for (size_t r = 0; r < table_.ranks.size(); ++r) {
      for (size_t bank = 0; bank < banks_.size(); ++bank) {
        std::vector<int> own;
        const std::vector<int>& all = banks_[bank].matrices;
        std::copy_if(all.begin(), all.end(), std::back_inserter(own),
                     [&](int i) { return owner[static_cast<size_t>(i)] == r; });
        add_matrices(table_.ranks[r], bank, own);
      }
    }
  }

  void add_matrices(RankWork& rank, size_t bank, const std::vector<int>& own) {
    const auto first_sum = [&](int i) { return first_sum_[static_cast<size_t>(i)]; };
    const auto first_neuron = [&](int i) { return first_neuron_[static_cast<size_t>(i)]; };
    for (const ParamBatch& batch : weights_.layout().batches(weights_.specs(), own)) {
      const int first = batch.params.front();
      MuonWork work{.offset = batch.offset,
                    .shape = batch.shape,
                    .first_sum = first_sum(first),
                    .first_neuron = first_neuron(first),
                    .bank = static_cast<int>(bank),
                    .update_offset = update_offset_[static_cast<size_t>(first)]};
      for (size_t i = 0; i < batch.params.size(); ++i) {
        const int param = batch.params[i];
        rank.bank_stretches[bank].push_back({weights_.layout().offset(param), batch.shape.size()});
        rank.sum_stretches.push_back({first_sum(param), count_sum_pieces(batch.shape.size())});
        rank.neuron_stretches.push_back({first_neuron(param), count_neurons(weights_.spec(param))});
        if (i == 0) continue;
        const int before = batch.params[i - 1];
        const int64_t sums = first_sum(param) - first_sum(before);
        const int64_t neurons = first_neuron(param) - first_neuron(before);
        PG_CHECK(i == 1 || (sums == work.sums_stride && neurons == work.neurons_stride),
                 "sums and neurons lie as far apart as their matrices");
        work.sums_stride = sums;
        work.neurons_stride = neurons;
      }
      rank.muon.push_back(work);
    }
  }

  static void merge(std::vector<Stretch>& stretches) {
    std::sort(stretches.begin(), stretches.end(),
              [](const Stretch& a, const Stretch& b) { return a.offset < b.offset; });
    std::vector<Stretch> merged;
    for (const Stretch& s : stretches) {
      if (!merged.empty() && merged.back().offset + merged.back().elements == s.offset) {
        merged.back().elements += s.elements;
      } else {
        merged.push_back(s);
      }
    }
    stretches = std::move(merged);
  }

  const Weights& weights_;
  std::vector<int64_t> first_sum_, first_neuron_, update_offset_;  // by parameter; matrices only
  std::vector<Bank> banks_;
  WorkTable table_;
};

}  // namespace

WorkTable divide_work(const Weights& weights, int ranks) {
  PG_CHECK(ranks > 0 && weights.gradient_elements() == weights.flat_elements(),
           "the optimizer trains every parameter; frozen ones are for test-time training");
  return Division(weights, ranks).take();
}

}  // namespace pg
