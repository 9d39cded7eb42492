// `train_gpt verify FOLDER...`: what a reviewer would find in anybody's record folder, running none of
// its code.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "eval/code/text_decoder.h"
#include "eval/make_scorer.h"
#include "eval/scoring_keys.h"
#include "harness/command/artifact_file.h"
#include "harness/command/coding_steps.h"
#include "harness/command/commands.h"
#include "harness/record/progress_line.h"
#include "harness/verify/own_record.h"
#include "harness/verify/verify_folder.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/device/registry/make_device.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

struct VerifyWords {
  std::vector<std::filesystem::path> folders;
  std::filesystem::path known_logs;  // empty: none
  bool json = false, needs_code = false, all = false, decode = false;
  int64_t decode_first = 0;  // bytes; 0: not
};

std::vector<Option> list_options(VerifyWords& w) {
  return {
      {.name = "folders", .value = &w.folders, .help = "record folders", .is_required = true},
      {.name = "--json",
       .value = &w.json,
       .help = "one JSON object a folder: folder, verdict, findings"},
      {.name = "--known-logs",
       .value = &w.known_logs,
       .help = "table of other records' logs, to find logs that belong to another folder; see "
               "docs/verify.md"},
      {.name = "--needs-code",
       .value = &w.needs_code,
       .help = "code_sizes.json does not stand in for files that are not there"},
      {.name = "--decode",
       .value = &w.decode,
       .help = "decode val.pgt of our own records too, which takes as long as the evaluation"},
      {.name = "--decode-first",
       .value = &w.decode_first,
       .help = "decode so many bytes of val.pgt, as far as the file has checks of its tokens",
       .range = OptionRange{1, INT32_MAX}},
      {.name = "--all",
       .value = &w.all,
       .help = "every finding; otherwise at most four of a code in a folder"},
  };
}

// The coded text of a record of ours, decoded by its artifact: the ids' hash must be the one that was
// encoded, and of a part its checks.
void decode_record(const std::filesystem::path& path, size_t most_bytes,
                   std::vector<Finding>& findings) {
  constexpr const char* kCodedText = "val.pgt";
  const auto add = [&](std::string why) {
    findings.push_back({"decode_failed", Severity::kReject, kCodedText, 0, std::move(why)});
  };
  const RecordFolder folder(path);
  const FolderEntry* file = folder.find(kCodedText);
  const std::string artifact = find_bound_artifact(folder);
  if (file == nullptr || artifact.empty())
    return add("no coded text and artifact that a tape binds");
  // A file that is no artifact throws Error, which is this folder's finding.
  const Bytes bytes = read_file(path / kCodedText);
  const Result<CodedText> coded = parse_coded_text(bytes);
  if (!coded.ok()) return add(coded.error());
  const UnpackedModel model = unpack_file(path / artifact);
  check_artifact(coded.value(), model.artifact_sha256());
  const auto device = make_device(kExactDevice);
  const auto scorer = make_scorer(model, read_scoring(model), *device, coded.value().tokens);
  ProgressLine progress = ProgressLine::for_stream(stderr);
  const Result<std::vector<int32_t>> decoded =
      decode_beginning(*scorer, coded.value(), model.config().vocab_size, most_bytes,
                       show_coding_progress(progress, "decode"));
  progress.finish();
  if (!decoded.ok()) return add(decoded.error());
  const auto tokens = std::ssize(decoded.value());
  const bool is_whole = tokens == coded.value().tokens;
  findings.push_back(
      {"decoded", Severity::kNote, kCodedText, 0,
       is_whole ? fmt::format("{} tokens; their sha256 is the one that was encoded",
                              format_thousands(tokens))
                : fmt::format("the first {} of {} tokens; they pass the file's {} checks of them",
                              format_thousands(tokens), format_thousands(coded.value().tokens),
                              tokens / kCheckTokens)});
}

int verify(const VerifyWords& words, Clock&) {
  VerifyOptions options;
  if (!words.known_logs.empty()) options.known = KnownLogs(words.known_logs);
  options.needs_code = words.needs_code;
  if (words.all) options.most_per_code = INT64_MAX;
  FolderCheckFn decode;
  if (words.decode || words.decode_first > 0) {
    const size_t most = words.decode ? SIZE_MAX : static_cast<size_t>(words.decode_first);
    decode = [most](const std::filesystem::path& path, std::vector<Finding>& findings) {
      decode_record(path, most, findings);
    };
  }
  const std::vector<FolderReport> reports = verify_folders(words.folders, options, decode);
  int64_t rejected = 0, warned = 0;
  for (const FolderReport& report : reports) {
    const std::string_view verdict = folder_verdict(report.findings);
    rejected += verdict == severity_name(Severity::kReject) ? 1 : 0;
    warned += verdict == severity_name(Severity::kWarn) ? 1 : 0;
    if (words.json) {
      fmt::print("{}\n", findings_json(report.folder, report.findings));
    } else {
      fmt::print("{}", findings_text(report.folder, report.findings));
    }
  }
  const auto count = static_cast<int64_t>(reports.size());
  fmt::print(words.json ? stderr : stdout, "{} folder{}: {} reject, {} warn, {} clean\n", count,
             count == 1 ? "" : "s", rejected, warned, count - rejected - warned);
  return rejected > 0 ? 1 : 0;
}

}  // namespace

Command make_verify_command() {
  return make_command<VerifyWords>(
      "verify", "what a reviewer would find in anybody's record folder, running none of its code",
      list_options, verify);
}

}  // namespace pg
