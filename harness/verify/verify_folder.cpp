#include "harness/verify/verify_folder.h"

#include <fmt/format.h>

#include <utility>

#include "harness/verify/own_record.h"
#include "harness/verify/own_set.h"
#include "harness/verify/record_facts.h"
#include "harness/verify/record_folder.h"
#include "harness/verify/rules.h"
#include "src/base/error.h"

namespace pg {
namespace {

// The path with what names its place, "records/track_10min_16mb/2026-...": of "." too.
std::string full_path(const std::filesystem::path& folder) {
  std::error_code ignored;
  std::filesystem::path full = std::filesystem::absolute(folder, ignored).lexically_normal();
  if (full.filename().empty()) full = full.parent_path();
  return full.string();
}

// Findings in an inner folder, as the outer one's: "seed_7/train_seed7.log".
void add_inner(std::vector<Finding> inner, const std::string& folder,
               std::vector<Finding>& findings) {
  for (Finding& finding : inner) {
    finding.file = finding.file.empty() ? folder : fmt::format("{}/{}", folder, finding.file);
    findings.push_back(std::move(finding));
  }
}

RecordFacts check_folder(const std::filesystem::path& path, const VerifyOptions& options,
                         std::vector<Finding>& findings) {
  RecordFolder folder(path);
  constexpr const char* kCodeSizes = "code_sizes.json";
  if (!options.needs_code && folder.has(kCodeSizes)) {
    if (const std::string why = add_code_sizes(folder); !why.empty()) {
      findings.push_back({"code_sizes_ignored", Severity::kWarn, kCodeSizes, 0,
                          fmt::format("it does not stand in for missing files: {}", why)});
    } else if (folder.has_stand_ins()) {
      findings.push_back({"code_not_at_hand", Severity::kNote, kCodeSizes, 0,
                          "sizes of files that are not here are taken from this list; --needs-code "
                          "does without it"});
    }
  }
  RecordFacts facts = collect_facts(folder, full_path(path), options.known);
  check_files(facts, findings);
  check_submission(facts, findings);
  check_logs(facts, findings);
  check_sizes(facts, findings);
  check_clock(facts, findings);
  check_seeds(facts, findings);
  check_statistics(facts, findings);
  check_scores(facts, findings);
  check_val_bytes(facts, findings);
  check_legality(facts, findings);
  check_context(facts, options.known, findings);
  if (facts.is_own_record) check_own_record(facts, path, findings);
  if (!facts.own_seeds.empty()) check_own_set(facts, path, findings);
  for (const std::string& seed : facts.own_seeds) {  // a seed's folder has no seeds of its own
    std::vector<Finding> of_seed;
    check_folder(path / seed, options, of_seed);
    add_inner(std::move(of_seed), seed, findings);
  }
  facts.folder = nullptr;  // it is closed
  return facts;
}

}  // namespace

std::vector<FolderReport> verify_folders(const std::vector<std::filesystem::path>& folders,
                                         const VerifyOptions& options,
                                         const FolderCheckFn& further) {
  std::vector<FolderReport> reports;
  std::vector<RecordFacts> facts;
  for (const std::filesystem::path& path : folders) {
    FolderReport report{path.string(), {}};
    try {
      facts.push_back(check_folder(path, options, report.findings));
      if (further && facts.back().is_own_record) further(path, report.findings);
      for (const std::string& seed : facts.back().own_seeds) {
        std::vector<Finding> of_seed;
        if (further) further(path / seed, of_seed);
        add_inner(std::move(of_seed), seed, report.findings);
      }
    } catch (const Error& error) {
      if (facts.size() == reports.size()) facts.emplace_back();
      report.findings.push_back({"folder_unreadable", Severity::kReject, "", 0, error.what()});
    }
    reports.push_back(std::move(report));
  }
  std::vector<std::vector<Finding>> together;
  if (facts.size() > 1) {
    std::vector<std::vector<Finding>> known;
    for (const FolderReport& report : reports) known.push_back(report.findings);
    together = compare_folders(facts, known);
  }
  for (size_t i = 0; i < reports.size(); ++i) {
    std::vector<Finding>& findings = reports[i].findings;
    if (!together.empty()) findings.insert(findings.end(), together[i].begin(), together[i].end());
    findings = select_findings(std::move(findings), options.most_per_code);
  }
  return reports;
}

}  // namespace pg
