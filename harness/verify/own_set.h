// A folder made by `train_gpt seeds`: whether what stands above the seeds' records is what they say.
#pragma once
#include <filesystem>
#include <vector>

#include "harness/verify/finding.h"
#include "harness/verify/record_facts.h"

namespace pg {

// `path` is the folder's; facts.own_seeds has its seeds. Each seed's own record is checked apart, by check_own_record.
void check_own_set(const RecordFacts& facts, const std::filesystem::path& path,
                   std::vector<Finding>& findings);

}  // namespace pg
