// The ledger adds up what a network scorer's distributions cost the stream, and charges the bytes
// by the tokenizer's table.
#include "eval/score.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "eval/make_scorer.h"
#include "eval/score/beside/document_batches.h"
#include "eval/score/beside/document_list.h"
#include "eval/score/ledger.h"
#include "eval/score/network_scorer.h"
#include "src/base/check.h"
#include "src/base/error.h"

namespace pg {
namespace {

std::vector<int32_t> read_scored(const TokenStream& val, const ScoringConfig& config) {
  if (config.first_tokens == 0) return val.read_all();
  std::vector<int32_t> stream(static_cast<size_t>(config.first_tokens));
  val.read(0, stream);
  return stream;
}

// What `progress` is told of the totals so far.
std::function<void(const LedgerTotals&)> report_to(const EvalProgressFn& progress, int64_t tokens,
                                                   Clock& clock, double start_s, double budget_s) {
  if (!progress) return {};
  return [&progress, &clock, targets = tokens - 1, start_s, budget_s](const LedgerTotals& totals) {
    progress({.tokens_done = totals.tokens,
              .tokens_total = targets,
              .bits_per_byte = totals.bits_per_byte(),
              .elapsed_s = clock.now_s() - start_s,
              .budget_s = budget_s});
  };
}

LedgerTotals sum_costs(Scorer& scorer, const ByteTable& bytes, std::span<const int32_t> stream,
                       const std::function<void(const LedgerTotals&)>& on_progress,
                       LedgerHooks hooks = {}) {
  hooks.on_progress = on_progress;
  const Ledger ledger(stream, bytes);
  const LedgerTotals totals = scorer.document_rows().count() > 1
                                  ? ledger.score_beside(scorer, hooks)
                                  : ledger.score(scorer, hooks);
  if (totals.bytes == 0) {
    throw Error(
        fmt::format("validation stream stands for no bytes: {} tokens; give shards that hold text "
                    "in this tokenizer's ids",
                    stream.size()));
  }
  return totals;
}

// Whether documents of a batch are of lengths so different that a quarter more rows than needed run.
bool wastes_rows(std::span<const int64_t> chunks, const DocumentRows& rows) {
  int64_t run = 0;
  for (const DocumentBatch& batch : batch_documents(chunks, /*first=*/0, rows)) {
    run += batch.most_chunks * rows.count();
  }
  return 4 * run > 5 * std::accumulate(chunks.begin(), chunks.end(), int64_t{0});
}

// The documents that a rank scores side by side, where each has the score that it has alone: as many as a
// batch has windows, or fewer where they are too different. Their number does not depend on the ranks,
// so that all products have the same shapes. Phases by parts of the text may fall due within a document.
int64_t count_documents_at_once(const ScoringConfig& config, std::span<const int32_t> stream) {
  const TttConfig& ttt = config.ttt;
  const bool has_phases = ttt.kind == TttKind::kPhasedLora;
  const int64_t queues = ttt.lora_reset == LoraReset::kFull ? 0 : ttt.lora_queues;
  if ((ttt.kind != TttKind::kLora && !has_phases) || !ttt.by_document || queues == 1 ||
      ttt.byte_weighted || config.mix.kind != MixKind::kNone ||
      (has_phases && ttt.phase_documents < ttt.phases)) {
    return 1;
  }
  std::vector<int64_t> chunks;  // of each document
  for (const Document& document : list_documents(stream, ttt.lora_chunk_tokens)) {
    chunks.push_back(std::ssize(document.chunks));
  }
  int64_t rows = std::min(std::max(config.eval.batch_tokens / config.eval.context, int64_t{1}),
                          static_cast<int64_t>(chunks.size()));
  if (queues > 0) rows = std::min(rows, queues);
  while (rows > 1 && wastes_rows(chunks, {.of_a_rank = rows, .queues = queues})) rows /= 2;
  return rows;
}

}  // namespace

Score evaluate(const UnpackedModel& model, const ByteTable& bytes, const TokenStream& val,
               const ScoringConfig& config, Device& device, Clock& clock,
               const EvalProgressFn& progress, WindowShare* share, const LedgerHooks& observer) {
  const double start_s = clock.now_s();
  check_byte_table(bytes, model.config().vocab_size);
  const std::vector<int32_t> stream = read_scored(val, config);
  const auto tokens = static_cast<int64_t>(stream.size());
  ScoringConfig with_bytes = config;
  with_bytes.ttt.bytes = &bytes;
  PG_CHECK(!observer.on_chunk,
           "evaluate() tells of no chunks: those of documents side by side are none");
  with_bytes.ttt.documents_at_once = count_documents_at_once(config, stream);
  with_bytes.ttt.share = share;
  const auto scorer = make_scorer(model, with_bytes, device, tokens, share);
  const auto report = report_to(progress, tokens, clock, start_s, config.eval.wallclock_s);
  LedgerTotals seen;  // as last reported: while a chunk is learnt from they stand still
  std::function<void(const LedgerTotals&)> keep_and_report;
  if (report) {
    scorer->watch_learning([&] { report(seen); });
    keep_and_report = [&](const LedgerTotals& totals) { report(seen = totals); };
  }
  const LedgerTotals totals = sum_costs(*scorer, bytes, stream, keep_and_report, observer);
  Score score;
  score.loss_nats_ = totals.loss_nats();
  score.bits_per_byte_ = totals.bits_per_byte();
  score.bits_ = totals.bits;
  score.tokens_ = totals.tokens;
  score.bytes_ = totals.bytes;
  score.documents_ = totals.documents;
  score.windows_ = scorer->windows_run();
  score.documents_at_once_ = with_bytes.ttt.documents_at_once;
  score.budget_s_ = config.eval.wallclock_s;
  score.eval_s_ = clock.now_s() - start_s;
  return score;
}

void follow_evaluation(const UnpackedModel& model, const TokenStream& val,
                       const ScoringConfig& config, Device& device, WindowShare& share) {
  const std::vector<int32_t> stream = read_scored(val, config);
  const auto tokens = static_cast<int64_t>(stream.size());
  ScoringConfig of_rank = config;
  of_rank.ttt.documents_at_once = count_documents_at_once(config, stream);
  of_rank.ttt.share = &share;
  const auto scorer = make_scorer(model, of_rank, device, tokens, &share);
  if (scorer->document_rows().count() > 1) {
    Ledger::follow_beside(*scorer, stream);
  } else {
    Ledger::follow(*scorer, stream);
  }
}

namespace {

DiagnosticLoss diagnose_text(const ModelConfig& model, const std::vector<HostTensor>& tensors,
                             const ByteTable& bytes, std::span<const int32_t> text,
                             const EvalConfig& config, Device& device, Clock& clock,
                             const EvalProgressFn& progress, WindowShare* share) {
  const double start_s = clock.now_s();
  check_byte_table(bytes, model.vocab_size);
  const auto tokens = static_cast<int64_t>(text.size());
  NetworkScorer scorer =
      NetworkScorer::for_diagnosis(model, tensors, fit_batch(config, tokens, share), device, share);
  const LedgerTotals totals =
      sum_costs(scorer, bytes, text, report_to(progress, tokens, clock, start_s, 0));
  return {.diagnostic_loss_nats = totals.loss_nats(),
          .diagnostic_bits_per_byte = totals.bits_per_byte(),
          .tokens = totals.tokens,
          .bytes = totals.bytes,
          .eval_s = clock.now_s() - start_s};
}

}  // namespace

DiagnosticLoss diagnose_loss(const ModelConfig& model, const std::vector<HostTensor>& tensors,
                             const ByteTable& bytes, const TokenStream& val,
                             const EvalConfig& config, Device& device, Clock& clock,
                             const EvalProgressFn& progress, WindowShare* share) {
  return diagnose_text(model, tensors, bytes, val.read_all(), config, device, clock, progress,
                       share);
}

DiagnosticLoss diagnose_loss(const ModelConfig& model, const std::vector<HostTensor>& tensors,
                             const ByteTable& bytes, std::span<const int32_t> text,
                             const EvalConfig& config, Device& device, Clock& clock) {
  return diagnose_text(model, tensors, bytes, text, config, device, clock, {}, nullptr);
}

void follow_diagnosis(const ModelConfig& model, const std::vector<HostTensor>& tensors,
                      const TokenStream& val, const EvalConfig& config, Device& device,
                      WindowShare& share) {
  NetworkScorer scorer = NetworkScorer::for_diagnosis(
      model, tensors, fit_batch(config, val.size(), &share), device, &share);
  Ledger::follow(scorer, val.read_all());
}

}  // namespace pg
