// What a log's lines say of how it was scored, and what went wrong in the run.
#include <string>

#include "harness/verify/log_dialects.h"
#include "harness/verify/text_scan.h"

namespace pg {

void LogParser::parse_methods(std::string_view lower) {
  if (has_any(lower, {"ttt_sliding:start", "chunks=", "score_first=true", "score_first: true",
                      "score-first", "legal_ttt"})) {
    facts_.is_score_first = true;
  }
  const auto add = [&](const char* code) { keep_line(facts_.methods, MethodLine{code, here()}); };
  if (has_any(lower, {"ppm_mix", "mix_bpb", "ppm_native", "cond_ppm", "ppm_bpb", "ppm_submission",
                      "ppm-d", "ppmd", "byte_mix"}) ||
      (has_text(lower, "ppm") && has_any(lower, {"bpb:", "bpb="}))) {
    if (has_text(lower, "bpb")) add("byte_mix");
    if (const auto bytes = number_after(lower, "bytes"); bytes && bytes->value > 0) {
      keep_line(facts_.mixed_bytes, NumberLine{line_, bytes->value});
    }
  }
  if (has_any(lower, {"prequant_ttt:start", "prequant_ttt:epoch", "prequant_ttt:done",
                      "post-prequant-ttt", "post_prequant_ttt", "pre-quant ttt epoch"})) {
    add("prequant_ttt");
  }
  const bool is_result = has_any(lower, {"bpb:", "bpb="});
  const bool names_slot = has_any(lower, {"_slot", "slot_"}) || has_word(lower, "slot");
  if (is_result && names_slot && !has_any(lower, {"slots", "no slot", "no_slot", "without slot"}) &&
      !lower.starts_with("step")) {
    add("slot");
  }
  // Several passes over the text, where nothing is scored by chunks before it is learnt from.
  if (lower.starts_with("ttt") && has_text(lower, "epoch") &&
      !has_any(lower, {"chunk", "sliding", "phased", "enabled", "score_first=true"})) {
    const size_t epoch = lower.find("epoch");
    const auto passes = number_after(lower, "epochs");
    size_t slash = lower.find('/', epoch);  // "epoch 1/10", "ttt_epoch:2/3"
    if (slash != kNotFound && slash - epoch > 10) slash = kNotFound;
    const auto of_passes = slash == kNotFound ? std::nullopt : scan_number(lower, slash + 1);
    const bool is_setting = lower.starts_with("ttt_epochs") || lower.starts_with("ttt epochs");
    if (has_text(lower, "score_first=false") || (of_passes && of_passes->value >= 2) ||
        (passes && passes->value >= 2 && !is_setting)) {
      add("ttt_before_score");
    }
  }
  if (has_any(lower, {"ngram_pass2", "pass2:", "pass 2 rescor", "two_pass", "ngram_rescore",
                      "rescoring"}) &&
      has_any(lower, {"ngram", "rescor"})) {
    add("two_pass_rescore");
  }
  if (is_result && has_any(lower, {"ngram", "n-gram", "_backoff"}) &&
      !has_any(lower, {"tilt", "[", "chunk:"})) {
    // The names that this program's score lines have: its mixers normalise, which a log cannot show.
    const bool is_ours =
        lower.starts_with("legal_ttt_ngram_mix") || lower.starts_with("legal_ngram_mix");
    add(is_ours ? "ngram_unproven" : "ngram_unnormalised");
  }
  if (has_any(lower, {"min_nll", "min-nll", "min(nll"})) add("min_over_passes");
  if (has_any(lower, {"paid_prefix", "paid prefix", "prefix_blob"})) add("paid_prefix");
  if (has_any(lower,
              {"train_on_val:true", "train_on_val: true", "train_on_val=1", "train_on_val:1"})) {
    add("trained_on_val");
  }
}

void LogParser::parse_troubles(std::string_view lower) {
  if (has_any(lower, {"/home/", "/users/", "\\users\\"})) {
    for (const std::string_view root :
         {std::string_view("/home/"), std::string_view("/users/"), std::string_view("\\users\\")}) {
      for (size_t at = lower.find(root); at != kNotFound; at = lower.find(root, at + 1)) {
        const size_t behind = at + root.size();
        if (behind < lower.size() && is_word_byte(lower[behind])) ++facts_.home_paths;
      }
    }
  }
  if (has_any(lower, {"traceback (most recent call last)", "outofmemoryerror", "out of memory",
                      "segmentation fault", "core dumped"})) {
    keep_line(facts_.crashes, here());
  }
  if (has_any(lower, {"tokenizer_kind=synthetic",
                      "dry_run:1",
                      "dry run",
                      "excerpt",
                      "placeholder",
                      "abridged",
                      "log truncated",
                      "truncated log",
                      "reconstructed",
                      "transcribed",
                      "summary of the run",
                      "log summary",
                      "summarized log",
                      "not the original",
                      "simulated run",
                      "key lines from",
                      "lines omitted",
                      "omitted for",
                      "condensed log",
                      "extracted from the",
                      "log was lost",
                      "results summary",
                      "synthetic data"})) {
    keep_line(facts_.not_original, here());
  }
}

}  // namespace pg
