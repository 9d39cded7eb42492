// Records of this program: the tape and all that it binds, the certificate, the counted code and the
// artifact's size, checked against the files themselves.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "harness/verify/finding.h"
#include "harness/verify/record_facts.h"

namespace pg {

// `path` is the folder's; facts.is_own_record holds.
void check_own_record(const RecordFacts& facts, const std::filesystem::path& path,
                      std::vector<Finding>& findings);

// The name of the artifact that the tape's closing line binds; empty where there is none in the folder,
// or it is no plain file. `prefix`: "seed_7/" of a record inside the folder.
std::string find_bound_artifact(const RecordFolder& folder, const std::string& prefix = {});

}  // namespace pg
