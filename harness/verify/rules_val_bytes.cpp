// The denominator: how many bytes of text a score is per byte of. Loss and score of one line give the
// bytes per token that were counted; with the number of tokens, the bytes of the whole text, which is
// known.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "harness/verify/rules.h"
#include "harness/verify/score_match.h"
#include "harness/verify/text_scan.h"

namespace pg {
namespace {

constexpr double kBytesOff = 0.004, kLineOff = 0.005, kJsonOff = 0.004, kTrainLossOff = 0.08,
                 kVocabularyOff = 0.1;
constexpr double kSpaceTwice = 1.177;
constexpr double kFullValTokens = 30'000'000;
constexpr double kMixedShare = 0.9;

// Bytes per token of the challenge's tokenizers on its validation text, by vocabulary.
struct TokenizerBytes {
  double vocab, bytes_per_token;
};
constexpr TokenizerBytes kTokenizers[] = {{1024, 2.4359}, {4096, 3.3198}, {8192, 3.7267}};

std::optional<double> val_tokens(const LogFacts& log) {
  if (log.val_tokens.empty()) return std::nullopt;
  return log.val_tokens.front().value;
}

// A model that knows nothing loses ln V a token.
std::optional<TokenizerBytes> find_tokenizer(const LogFacts& log) {
  if (!log.first_loss_nats) return std::nullopt;
  for (const TokenizerBytes& tokenizer : kTokenizers) {
    if (std::abs(*log.first_loss_nats - std::log(tokenizer.vocab)) < 0.02) return tokenizer;
  }
  return std::nullopt;
}

const LogScore* last_with_loss(const LogFacts& log) {
  const LogScore* last = nullptr;
  for (const LogScore& score : log.scores) {
    const bool is_better = last == nullptr || score.kind == ScoreKind::kEvaluation ||
                           last->kind != ScoreKind::kEvaluation;
    if (bytes_per_token(score) > 0 && is_better) last = &score;
  }
  return last;
}

void check_bytes(const RecordFacts& facts, size_t i, std::vector<Finding>& findings) {
  const LogFacts& log = facts.logs[i];
  const double ratio = facts.bytes_per_token(log);
  const std::optional<double> tokens = val_tokens(log);
  const bool is_taken_back = facts.withdrawn[i] || facts.states_correction();
  const Severity severity = is_taken_back ? Severity::kNote : Severity::kReject;
  if (ratio > 0 && tokens && *tokens >= kFullValTokens) {
    const double share = *tokens * ratio / kValBytes;
    if (std::abs(share - 1) <= kBytesOff) return;
    const LogScore& line = *last_with_loss(log);
    // A byte table that counts the space before a word twice gives this share with any tokenizer of
    // words; those who published it took it back.
    const bool is_space_twice = std::abs(share - kSpaceTwice) <= kBytesOff;
    findings.push_back(
        {is_space_twice ? "denominator_bug" : "val_bytes_off", severity, log.path, line.line,
         fmt::format("{}: {:.0f} tokens x {:.4f} bytes per token = {:.4f} of 151,080,891",
                     line.label, *tokens, ratio, share)});
    return;
  }
  // Without the number of tokens: what the tokenizer is known for.
  const std::optional<TokenizerBytes> tokenizer = find_tokenizer(log);
  if (!tokenizer) return;
  if (ratio > 0 && !tokens) {
    if (ratio <= tokenizer->bytes_per_token * (1 + kVocabularyOff)) return;
    const LogScore& line = *last_with_loss(log);
    findings.push_back(
        {"denominator_bug", severity, log.path, line.line,
         fmt::format("{}: {:.4f} bytes per token, where a tokenizer of {:.0f} has {:.4f}",
                     line.label, ratio, tokenizer->vocab, tokenizer->bytes_per_token)});
    return;
  }
  // Without losses beside the scores: the training loss is near that of validation.
  const LogScore* last = last_evaluation(log);
  if (ratio > 0 || last == nullptr || log.late_losses_nats.size() < 3 || log.last_step < 1000)
    return;
  double sum = 0;
  for (const double loss : log.late_losses_nats) sum += loss;
  const double mean = sum / static_cast<double>(log.late_losses_nats.size());
  const double implied = mean / (kLn2 * last->bits_per_byte);
  if (implied <= tokenizer->bytes_per_token * (1 + kTrainLossOff) ||
      implied > tokenizer->bytes_per_token * 1.5) {
    return;
  }
  findings.push_back(
      {"denominator_bug", severity, log.path, last->line,
       fmt::format("{}; a training loss of {:.4f} makes it {:.4f} bytes per token, where a "
                   "tokenizer of {:.0f} has {:.4f}",
                   last->text, mean, implied, tokenizer->vocab, tokenizer->bytes_per_token)});
}

void check_lines(const RecordFacts& facts, const LogFacts& log, std::vector<Finding>& findings) {
  const double usual = facts.bytes_per_token(log);
  if (usual <= 0) return;
  for (const LogScore& score : log.scores) {
    const double ratio = bytes_per_token(score);
    if (ratio <= 0) continue;
    const double rounding = half_unit(score.decimals) / score.bits_per_byte +
                            half_unit(score.loss_decimals) / *score.loss_nats;
    if (std::abs(ratio / usual - 1) <= kLineOff + rounding) continue;
    findings.push_back(
        {"line_ratio_off", Severity::kWarn, log.path, score.line,
         fmt::format("{}: loss/bpb gives {:.4f} bytes per token, the other lines of the log {:.4f}",
                     score.label, ratio, usual)});
    return;
  }
}

void check_json_ratio(const RecordFacts& facts, std::vector<Finding>& findings) {
  const JsonEntry* loss = facts.submission.find("val_loss");
  const JsonEntry* score = facts.submission.find("val_bpb");
  if (loss == nullptr || score == nullptr || loss->kind != JsonKind::kNumber ||
      score->kind != JsonKind::kNumber || loss->number <= 0 || score->number <= 0) {
    return;
  }
  std::vector<double> ratios;
  for (const LogFacts& log : facts.logs) {
    if (const double ratio = facts.bytes_per_token(log); ratio > 0) ratios.push_back(ratio);
  }
  if (ratios.empty()) return;
  std::sort(ratios.begin(), ratios.end());
  const double usual = ratios[ratios.size() / 2];
  const double stated = loss->number / (kLn2 * score->number);
  const double rounding =
      half_unit(loss->decimals) / loss->number + half_unit(score->decimals) / score->number;
  if (std::abs(stated / usual - 1) <= kJsonOff + rounding) return;
  findings.push_back(
      {"json_ratio_off", Severity::kWarn, "submission.json", loss->line,
       fmt::format("val_loss {} / val_bpb {} gives {:.4f} bytes per token; logs give {:.4f}",
                   loss->text, score->text, stated, usual)});
}

void check_subset(const RecordFacts& facts, std::vector<Finding>& findings) {
  const Severity severity = facts.track == Track::kRecord ? Severity::kReject : Severity::kWarn;
  for (const LogFacts& log : facts.logs) {
    const auto most = std::max_element(
        log.val_tokens.begin(), log.val_tokens.end(),
        [](const NumberLine& a, const NumberLine& b) { return a.value < b.value; });
    if (most == log.val_tokens.end() || most->value >= kFullValTokens) continue;
    findings.push_back({"val_subset", severity, log.path, most->line,
                        fmt::format("val tokens {:.0f}", most->value)});
    return;
  }
  for (const LogFacts& log : facts.logs) {
    for (const NumberLine& bytes : log.mixed_bytes) {
      if (bytes.value >= kMixedShare * kValBytes) continue;
      findings.push_back(
          {"val_subset", severity, log.path, bytes.line,
           fmt::format("the byte mixture was scored on {:.0f} of 151,080,891 bytes", bytes.value)});
      return;
    }
  }
}

// README.md: the byte count was wrong, as its author says.
void check_admitted(const RecordFacts& facts, std::vector<Finding>& findings) {
  for (const Finding& finding : findings) {
    if (finding.code == "denominator_bug") return;
  }
  for (size_t i = 0; i < facts.readme_lower.size(); ++i) {
    const std::string& line = facts.readme_lower[i];
    const bool names_it = has_text(line, "denominator") || has_text(line, "byte count") ||
                          has_text(line, "byte-count") || has_text(line, "bytes per token") ||
                          has_text(line, "double-count") || has_text(line, "double count");
    const bool is_fault = has_text(line, "errata") || has_text(line, "erratum") ||
                          has_text(line, "inflated") || has_text(line, "bug") ||
                          has_text(line, "overcount") || has_text(line, "incorrect") ||
                          has_text(line, "was wrong");
    const bool is_rescore = has_text(line, "rescore") && has_text(line, "val_bpb");
    if (!((names_it && is_fault) || has_text(line, "errata section") || is_rescore) ||
        !facts.states_correction()) {
      continue;
    }
    findings.push_back({"denominator_bug", Severity::kNote, "README.md",
                        static_cast<int64_t>(i) + 1, facts.readme_lines[i]});
    return;
  }
}

}  // namespace

void check_val_bytes(const RecordFacts& facts, std::vector<Finding>& findings) {
  if (facts.track == Track::kOwn) return;  // other text, other bytes
  for (size_t i = 0; i < facts.logs.size(); ++i) {
    check_bytes(facts, i, findings);
    check_lines(facts, facts.logs[i], findings);
  }
  check_json_ratio(facts, findings);
  check_subset(facts, findings);
  check_admitted(facts, findings);
}

}  // namespace pg
