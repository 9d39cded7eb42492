// `train_gpt audit`: all probes on the scorer that a recipe asks for, a line each, and the
// certificate.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "eval/make_scorer.h"
#include "eval/score.h"
#include "eval/score/document_chunks.h"
#include "harness/command/artifact_file.h"
#include "harness/command/commands.h"
#include "harness/command/scoring_session.h"
#include "harness/recipe/recipe.h"
#include "harness/record/certificate.h"
#include "harness/record/code_features.h"
#include "harness/record/progress_line.h"
#include "harness/record/tape.h"
#include "harness/record/tape_end.h"
#include "quant/format/artifact_format.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/data/corpus/open_data.h"
#include "src/data/corpus/shard_checks.h"
#include "src/data/corpus/text_codec.h"
#include "src/text/file_kind.h"
#include "src/text/json_object.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

struct AuditWords {
  ScoringWords scoring;
  std::string train_shards;   // empty: no search for val text in them
  std::filesystem::path out;  // folder for the certificate; empty: none is written
  int64_t tokens = 0;         // of val that the probes run on; 0: a window and 16 strides
};

std::vector<Option> list_options(AuditWords& w) {
  return list_scoring_options(
      w.scoring,
      {{.name = "--train",
        .value = &w.train_shards,
        .help = "training shards, to look for validation text in them"},
       {.name = "--tokens",
        .value = &w.tokens,
        .help = "tokens of the validation text to probe; default a window and 16 strides",
        .range = OptionRange{16, 1 << 24}},
       {.name = "--out",
        .value = &w.out,
        .help = "folder for certificate.md and certificate.json"}});
}

// Tokens that the probes run on, unless told otherwise: a window and then as many strides.
constexpr int64_t kStrides = 16;
// Windows of a forward pass, so that such a text makes several chunks; the score does not depend on
// it.
constexpr int64_t kBatchWindows = 4;

std::vector<int32_t> read_start(const TokenStream& stream, int64_t tokens) {
  std::vector<int32_t> text(static_cast<size_t>(std::min(tokens, stream.size())));
  stream.read(0, text);
  return text;
}

// The text's bytes by decoding it document by document: no table is involved. The first token is no
// target.
int64_t count_decoded_bytes(const TextCodec& codec, std::span<const int32_t> stream) {
  size_t bytes = 0;
  std::vector<int32_t> document;
  for (size_t i = 0; i <= stream.size(); ++i) {
    if (i == stream.size() || stream[i] == kBosId) {
      bytes += codec.decode(document).size();
      document.clear();
    }
    if (i < stream.size() && stream[i] != kBosId) document.push_back(stream[i]);
  }
  // The first token is no target: in the middle of a document its text is not charged.
  if (!stream.empty() && stream[0] != kBosId) bytes -= codec.decode(stream.first(1)).size();
  return static_cast<int64_t>(bytes);
}

// A cut inside a character would be decoded as a replacement mark of three bytes.
void drop_cut_character(const TextCodec& codec, std::vector<int32_t>& text) {
  constexpr std::string_view kReplacement = "\xef\xbf\xbd";
  while (text.size() > 1 && codec.decode(std::span(text).last(1)) == kReplacement) {
    text.pop_back();
  }
}

double find_number(const std::vector<JsonNumber>& numbers, std::string_view key) {
  for (const JsonNumber& number : numbers) {
    if (number.key == key) return number.value;
  }
  return -1;
}

// Of the record beside an artifact; empty when there is none.
std::string read_record_file(const std::filesystem::path& file) {
  if (std::error_code ignored; !std::filesystem::exists(file, ignored)) return {};
  std::string text = read_text_file(file);
  const std::string_view foreign = describe_foreign_file(as_bytes(text));
  if (!foreign.empty()) {
    throw Error(fmt::format("not a record's file: \"{}\" is {}", file.string(), foreign));
  }
  return text;
}

// Times as the record beside the artifact states them, where there is one.
AuditBudget collect_budget(const AuditWords& words, const Recipe& recipe) {
  AuditBudget budget;
  const Bytes artifact = read_file(words.scoring.artifact);
  ByteReader reader(artifact);
  const Coder coder = parse_header(reader).value().coder;  // it is scored, so it has one
  budget.code_bytes = counted_code_bytes(code_features(recipe.model, recipe.scoring(), coder));
  budget.model_bytes = std::ssize(artifact);
  budget.cap_bytes = recipe.quant.cap_bytes;
  budget.train_cap_s = recipe.train.wallclock_s > 0 ? recipe.train.wallclock_s : 600;
  budget.eval_cap_s = recipe.eval.wallclock_s > 0 ? recipe.eval.wallclock_s : 600;
  const auto folder = words.scoring.artifact.parent_path();
  if (std::vector<JsonNumber> numbers;
      read_json_numbers(read_record_file(folder / "submission.json"), numbers)) {
    budget.train_s = find_number(numbers, "wallclock_seconds");
    budget.eval_s = find_number(numbers, "eval_time_s");
  }
  // A tape that cannot be read is V17's.
  if (const Result<Tape> tape = read_tape(read_record_file(folder / "tape.jsonl")); tape.ok()) {
    for (const TapeStep& step : tape.value().steps) budget.step_times_s.push_back(step.train_s);
  }
  return budget;
}

void print_probe(const ProbeResult& probe) {
  fmt::print("{:<5}{:<26}{:<9}{}\n", probe.id, probe.name, verdict_name(probe.verdict),
             escape_terminal(probe.reason));
}

// By the numbers of their ids: V1, V2, ..., V16.
void sort_probes(std::vector<ProbeResult>& probes) {
  std::sort(probes.begin(), probes.end(), [](const ProbeResult& a, const ProbeResult& b) {
    return std::stoi(a.id.substr(1)) < std::stoi(b.id.substr(1));
  });
}

ProbeResult search_train(const AuditWords& words, const Recipe& recipe, const Tokenizer& tokenizer,
                         const TokenStream& val) {
  const std::string& shards =
      words.train_shards.empty() ? recipe.data.train_shards : words.train_shards;
  if (shards.empty()) {
    return {"V12",
            "overlap of train and val",
            Verdict::kNotRun,
            "no training shards given; see --train",
            {}};
  }
  refuse_faults(find_shard_faults(shards, tokenizer.sha256()), recipe.data.force);
  return probe_overlap(open_shard_files(shards, tokenizer.vocab_size()), val,
                       tokenizer.byte_table());
}

int audit_artifact(const AuditWords& words, Clock&) {
  const ScoringSession session = open_scoring_session(
      words.scoring, SessionText::kShards,
      "audit: no validation text or tokenizer; give --recipe, or --data and --tokenizer");
  std::optional<const CertificateFolder> folder;
  if (!words.out.empty()) folder.emplace(words.out);
  const UnpackedModel& model = session.model;
  const Tokenizer& tokenizer = session.tokenizer;
  const Recipe& recipe = session.recipe;
  const TokenStream& val = *session.val;
  if (!session.foreign_scoring.empty()) {
    ProgressLine::for_stream(stderr).warn(fmt::format(
        "audit of what is not the artifact's own scoring: {}", session.foreign_scoring));
  }
  // What cannot be read is said before probes have taken their minutes.
  const AuditBudget budget = collect_budget(words, recipe);
  EvalConfig eval = recipe.eval;
  eval.batch_tokens = std::min(eval.batch_tokens, kBatchWindows * eval.context);
  std::vector<int32_t> text =
      read_start(val, words.tokens > 0 ? words.tokens : eval.context + kStrides * eval.stride);
  const TextCodec codec(tokenizer);
  drop_cut_character(codec, text);
  const auto tokens = static_cast<int64_t>(text.size());

  AuditSubject subject;
  ScoringConfig scoring(eval, recipe.ttt, recipe.mix);
  scoring.ttt.bytes = &tokenizer.byte_table();
  subject.make_scorer = [&] { return make_scorer(model, scoring, *session.device, tokens); };
  subject.vocab_size = model.config().vocab_size;
  subject.bytes = &tokenizer.byte_table();
  subject.recount_bytes = [&](std::span<const int32_t> stream) {
    return count_decoded_bytes(codec, stream);
  };
  ProgressLine progress = ProgressLine::for_stream(stderr);
  AuditOptions options;
  options.progress = [&](const std::string& work) { progress.show(work, false); };
  Certificate certificate;
  certificate.probes = audit_scorer(subject, text, options);
  progress.finish();
  certificate.probes.push_back(probe_budget(budget));
  certificate.probes.push_back(search_train(words, recipe, tokenizer, val));
  const auto scorer = make_scorer(model, scoring, *session.device, tokens);
  // Read again: what is scored must be what lies in the file.
  certificate.probes.push_back(
      probe_weights(scorer->download_weights(), unpack_file(words.scoring.artifact).tensors()));
  certificate.probes.push_back(
      probe_tape(words.scoring.artifact.parent_path(), model.artifact_sha256()));
  sort_probes(certificate.probes);

  certificate.artifact_sha256 = hex(model.artifact_sha256());
  certificate.tokenizer_sha256 = hex(tokenizer.sha256());
  certificate.val_fingerprint = val.fingerprint();
  certificate.val_tokens = val.size();
  certificate.audited_tokens = tokens;
  const int64_t most = scorer->document_chunk_targets();
  certificate.chunks =
      std::ssize(most > 0 ? follow_documents(text, most) : scorer->plan_order(tokens));
  certificate.seed = options.seed;
  certificate.configuration = list_score_keys(recipe);
  if (folder) folder->write(certificate);
  for (const ProbeResult& probe : certificate.probes) print_probe(probe);
  if (certificate.chunks < 3) {
    ProgressLine::for_stream(stderr).print(
        fmt::format("audit: the text makes {} of the scorer's chunks; what it learns between "
                    "chunks shows only with more --tokens",
                    certificate.chunks));
  }
  fmt::print("verdict {}\n", verdict_name(certificate.verdict()));
  return certificate.verdict() == Verdict::kPass ? 0 : 1;
}

}  // namespace

Command make_audit_command() {
  return make_command<AuditWords>("audit", "probe whether an artifact's score could be a decoder's",
                                  list_options, audit_artifact);
}

}  // namespace pg
