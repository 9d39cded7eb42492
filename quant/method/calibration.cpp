#include "quant/method/calibration.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/base/check.h"
#include "src/base/error.h"
#include "src/model/forward.h"
#include "src/model/model.h"

namespace pg {
namespace {

std::vector<float> read_mean(Plan& plan, Tensor sum, int64_t first, int64_t count, int64_t tokens) {
  std::vector<float> values(static_cast<size_t>(count));
  plan.read(sum, first, values);
  for (float& value : values) {
    value = static_cast<float>(static_cast<double>(value) / static_cast<double>(tokens));
  }
  return values;
}

// The mean of dy^2 with respect to the rows of the weight itself: where they are scaled, the plan's dy
// is that of the scaled rows' output.
std::vector<float> read_row_weights(Plan& plan, const WeightUse& use, const Weights& weights,
                                    const std::vector<HostTensor>& host_weights, int64_t tokens) {
  const ParamSpec& spec = weights.spec(use.weight);
  std::vector<float> means = read_mean(plan, use.squares, use.first_square, spec.rows, tokens);
  if (!spec.has_row_scale()) return means;
  const auto scale = static_cast<size_t>(weights.find(spec.row_scale));
  for (size_t row = 0; row < means.size(); ++row) {
    const float s = host_weights[scale].values[row];
    means[row] *= s * s;
  }
  return means;
}

// How often each row of each gathered table was read.
class RowCounts {
 public:
  RowCounts(Plan& plan, const Weights& weights) : plan_(plan) {
    for (const WeightUse& use : plan.weight_uses()) {
      const int64_t rows = use.table_ids ? weights.spec(use.weight).rows : 0;
      counts_.emplace_back(static_cast<size_t>(rows));
    }
  }

  void add_last_run() {
    for (size_t use = 0; use < counts_.size(); ++use) {
      const Tensor ids = plan_.weight_uses()[use].table_ids;
      if (!ids) continue;
      std::vector<int32_t> rows(static_cast<size_t>(plan_.elements(ids)));
      plan_.read_ids(ids, rows);
      for (const int32_t row : rows) ++counts_[use][static_cast<size_t>(row)];
    }
  }

  std::vector<float> shares(size_t use, int64_t tokens) const {
    std::vector<float> shares;
    for (const int64_t count : counts_[use]) {
      shares.push_back(
          static_cast<float>(static_cast<double>(count) / static_cast<double>(tokens)));
    }
    return shares;
  }

 private:
  Plan& plan_;
  std::vector<std::vector<int64_t>> counts_;  // by use of a weight; empty for linear maps
};

}  // namespace

const Sensitivity* Calibration::find(std::string_view name) const {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const Sensitivity& s) { return s.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

Calibration calibrate(const ModelConfig& config, const std::vector<HostTensor>& host_weights,
                      std::span<const CalibrationBatch> batches, int64_t batch, int64_t seq_len,
                      Device& device, const WorkProgressFn& progress) {
  if (const std::string problem = check_model_config(config); !problem.empty())
    throw Error(problem);
  PG_CHECK(!batches.empty(), "calibration needs tokens");
  // Without weight gradients the plan records the passes through activations only.
  Weights weights(device, list_params(config), /*with_gradients=*/false);
  weights.upload(host_weights);
  Plan plan(weights);
  plan.collect_grams();
  const ForwardTensors forward = record_forward(plan, config, batch, seq_len);
  plan.finish(forward.loss);

  RowCounts row_counts(plan, weights);
  // The plan's loss is the mean of a batch; this scale makes dy the gradient of the sum.
  plan.set_loss_scale(static_cast<float>(batch * seq_len));
  for (size_t i = 0; i < batches.size(); ++i) {
    const auto is_id = [&](int32_t id) { return id >= 0 && id < config.vocab_size; };
    PG_CHECK(std::all_of(batches[i].ids.begin(), batches[i].ids.end(), is_id) &&
                 std::all_of(batches[i].targets.begin(), batches[i].targets.end(), is_id),
             "a calibration token lies outside of the vocabulary");
    plan.write_ids(forward.ids, batches[i].ids);
    plan.write_ids(forward.targets, batches[i].targets);
    plan.run(/*accumulate=*/i > 0);
    row_counts.add_last_run();
    if (progress) progress(fmt::format("calibrate: {} of {} batches", i + 1, batches.size()));
  }

  Calibration result;
  result.tokens = static_cast<int64_t>(batches.size()) * batch * seq_len;
  for (int weight = 0; weight < weights.count(); ++weight) {
    Sensitivity sensitivity{weights.spec(weight).name, {}};
    for (const bool is_table : {false, true}) {
      for (size_t i = 0; i < plan.weight_uses().size(); ++i) {
        const WeightUse& use = plan.weight_uses()[i];
        if (use.weight != weight || static_cast<bool>(use.table_ids) != is_table) continue;
        sensitivity.terms.push_back(
            {read_mean(plan, use.gram, 0, plan.elements(use.gram), result.tokens),
             is_table ? row_counts.shares(i, result.tokens)
                      : read_row_weights(plan, use, weights, host_weights, result.tokens)});
      }
    }
    if (!sensitivity.terms.empty()) result.tensors.push_back(std::move(sensitivity));
  }
  return result;
}

}  // namespace pg
