// All rules on one folder, and on folders together.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "harness/verify/finding.h"
#include "harness/verify/known_logs.h"

namespace pg {

struct VerifyOptions {
  KnownLogs known;
  // Files that are not at hand may be stood in for by code_sizes.json.
  bool needs_code = false;
  int64_t most_per_code = 4;  // findings of one code in a folder
};

struct FolderReport {
  std::string folder;
  std::vector<Finding> findings;
};

// Looks further at a folder than its files tell: adds to its findings.
using FolderCheckFn = std::function<void(const std::filesystem::path&, std::vector<Finding>&)>;

// One report a folder, in order. A folder that cannot be read is a finding too. `further` may be empty.
std::vector<FolderReport> verify_folders(const std::vector<std::filesystem::path>& folders,
                                         const VerifyOptions& options,
                                         const FolderCheckFn& further = {});

}  // namespace pg
