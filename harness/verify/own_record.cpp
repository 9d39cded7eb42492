#include "harness/verify/own_record.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "harness/record/tape.h"
#include "harness/record/tape_end.h"
#include "src/base/error.h"
#include "src/files/file_sha256.h"
#include "src/files/inner_file.h"

namespace pg {
namespace {

constexpr size_t kMostTapeBytes = size_t{1} << 28, kMostCertificateBytes = size_t{1} << 22;
constexpr const char* kTape = "tape.jsonl";
constexpr const char* kCertificate = "certificate.json";
constexpr const char* kCode = "code.zpaq";

const FolderEntry* find_plain(const RecordFolder& folder, std::string_view name) {
  const FolderEntry* entry = folder.find(name);
  return entry != nullptr && entry->kind == EntryKind::kFile ? entry : nullptr;
}

void check_tape(const RecordFacts& facts, const std::filesystem::path& path,
                std::vector<Finding>& findings) {
  const auto add = [&](const char* code, Severity severity, std::string evidence) {
    findings.push_back({code, severity, kTape, 0, std::move(evidence)});
  };
  const FolderText text = facts.folder->read_text(kTape, kMostTapeBytes);
  if (text.is_cut) return add("tape_broken", Severity::kReject, "it is longer than any run's");
  const Result<Tape> tape = read_tape(text.text);
  if (!tape.ok()) return add("tape_broken", Severity::kReject, tape.error());
  if (tape.value().format == 1) {
    return add("tape_not_chained", Severity::kWarn,
               "tape_format 1: its lines are not chained, and nothing binds the files to it");
  }
  if (!tape.value().end) {
    const bool is_done = facts.submission.is_there;
    return add(is_done ? "tape_broken" : "tape_open", is_done ? Severity::kReject : Severity::kWarn,
               is_done ? "it has no closing line, and submission.json is there"
                       : "the run has not ended; start it again with the same command");
  }
  const std::string& artifact = tape.value().end->artifact;
  if (!is_inner_name(artifact) || find_plain(*facts.folder, artifact) == nullptr) {
    return add(
        "tape_broken", Severity::kReject,
        fmt::format("its closing line binds the artifact \"{}\", which is not there", artifact));
  }
  // What can go wrong from here on is a file that changes meanwhile.
  try {
    const ProbeResult probe = probe_tape(path, sha256_file(path / artifact));
    if (probe.verdict == Verdict::kFail) add("tape_broken", Severity::kReject, probe.reason);
  } catch (const Error& error) {
    add("tape_broken", Severity::kReject, error.what());
  }
}

void check_certificate(const RecordFacts& facts, const std::filesystem::path& path,
                       const std::string& artifact, std::vector<Finding>& findings) {
  if (find_plain(*facts.folder, kCertificate) == nullptr) {
    findings.push_back({"certificate_missing", Severity::kNote, "", 0,
                        "no certificate.json; train_gpt audit writes one"});
    return;
  }
  const SubmissionFacts json(facts.folder->read_text(kCertificate, kMostCertificateBytes).text);
  const auto add = [&](Severity severity, std::string evidence) {
    findings.push_back(
        {"certificate_bad", severity, kCertificate, json.error_line, std::move(evidence)});
  };
  if (!json.is_object()) return add(Severity::kReject, json.error);
  if (json.text_of("verdict") != "pass") {
    add(Severity::kReject, fmt::format("its verdict is \"{}\"", json.text_of("verdict")));
  }
  if (artifact.empty()) return;
  if (json.text_of("artifact_sha256") != hex(sha256_file(path / artifact))) {
    add(Severity::kReject, "it is of another artifact");
  }
}

// The counted bytes by the files: the artifact holds its model, code.zpaq its code.
void recount_bytes(const RecordFacts& facts, const std::string& artifact,
                   std::vector<Finding>& findings) {
  const FolderEntry* model = artifact.empty() ? nullptr : find_plain(*facts.folder, artifact);
  const FolderEntry* code = find_plain(*facts.folder, kCode);
  if (model == nullptr || code == nullptr) return;
  const auto stated = [&](const char* key) -> std::optional<std::pair<int64_t, int64_t>> {
    const JsonEntry* entry = facts.submission.find(key);
    if (entry == nullptr || entry->kind != JsonKind::kNumber) return std::nullopt;
    return std::pair(static_cast<int64_t>(entry->number), entry->line);
  };
  const int64_t total = model->bytes + code->bytes;
  const auto add = [&](const char* what, Severity severity, int64_t line, std::string evidence) {
    findings.push_back({what, severity, "submission.json", line, std::move(evidence)});
  };
  const std::pair<const char*, int64_t> parts[] = {
      {"bytes_model", model->bytes}, {"bytes_code", code->bytes}, {"bytes_total", total}};
  for (const auto& [key, bytes] : parts) {
    const auto said = stated(key);
    if (said && said->first == bytes) continue;
    add("bytes_miscounted", Severity::kReject, said ? said->second : 0,
        fmt::format("{}: {}; the files have {}", key,
                    said ? fmt::format("{}", said->first) : "none", bytes));
  }
  const auto cap = stated("bytes_cap");
  if (cap && total > cap->first) {
    add("size_over_cap", Severity::kReject, cap->second,
        fmt::format("artifact and code are {} bytes, the cap is {}", total, cap->first));
  }
}

}  // namespace

std::string find_bound_artifact(const RecordFolder& folder, const std::string& prefix) {
  const Result<Tape> tape = read_tape(folder.read_text(prefix + kTape, kMostTapeBytes).text);
  if (!tape.ok() || !tape.value().end) return {};
  const std::string& name = tape.value().end->artifact;
  return is_inner_name(name) && find_plain(folder, prefix + name) != nullptr ? name : std::string();
}

void check_own_record(const RecordFacts& facts, const std::filesystem::path& path,
                      std::vector<Finding>& findings) {
  check_tape(facts, path, findings);
  const std::string artifact = find_bound_artifact(*facts.folder);
  check_certificate(facts, path, artifact, findings);
  recount_bytes(facts, artifact, findings);
}

}  // namespace pg
