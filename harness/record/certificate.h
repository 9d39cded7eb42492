// What an audit found, for people and for programs. The same findings always give the same bytes.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "eval/audit/audit.h"
#include "harness/recipe/recipe.h"
#include "harness/record/folder_lock.h"

namespace pg {

struct Certificate {
  std::string artifact_sha256, tokenizer_sha256;
  uint64_t val_fingerprint = 0;
  int64_t val_tokens = 0;
  int64_t audited_tokens = 0;  // of val, from its start
  int64_t chunks = 0;          // that these make in the scorer's order
  uint64_t seed = 0;
  std::string configuration;  // the recipe's keys that the score depends on
  std::vector<ProbeResult> probes;

  Verdict verdict() const { return combine_verdicts(probes); }
};

std::string write_certificate_markdown(const Certificate& certificate);
std::string write_certificate_json(const Certificate& certificate);

// The keys of a recipe that the score of an artifact depends on, as write_recipe gives them; the
// files they name stand in the certificate by their hashes.
std::string list_score_keys(const Recipe& recipe);

// The folder that a certificate is written to; locked from here on. Only what audit itself wrote
// there, and nobody has changed since, is replaced: a file in the way throws Error before the work.
class CertificateFolder {
 public:
  explicit CertificateFolder(const std::filesystem::path& folder);
  void write(const Certificate& certificate) const;

 private:
  std::filesystem::path folder_;
  std::unique_ptr<const FolderLock> lock_;
};

}  // namespace pg
