// The rules, by theme. Each looks at the facts of one folder and adds what it finds; the codes and
// what they mean stand in docs/verify.md. Rules of clocks and hardware are for the record track alone.
#pragma once
#include <vector>

#include "harness/verify/finding.h"
#include "harness/verify/known_logs.h"
#include "harness/verify/record_facts.h"

namespace pg {

void check_files(const RecordFacts& facts, std::vector<Finding>& findings);
void check_submission(const RecordFacts& facts, std::vector<Finding>& findings);
void check_logs(const RecordFacts& facts, std::vector<Finding>& findings);
void check_sizes(const RecordFacts& facts, std::vector<Finding>& findings);
void check_clock(const RecordFacts& facts, std::vector<Finding>& findings);
void check_seeds(const RecordFacts& facts, std::vector<Finding>& findings);
void check_statistics(const RecordFacts& facts, std::vector<Finding>& findings);
void check_scores(const RecordFacts& facts, std::vector<Finding>& findings);
void check_val_bytes(const RecordFacts& facts, std::vector<Finding>& findings);
void check_legality(const RecordFacts& facts, std::vector<Finding>& findings);

// What needs other records: logs that are known from elsewhere, the folder's own name.
void check_context(const RecordFacts& facts, const KnownLogs& known,
                   std::vector<Finding>& findings);
// Of folders that are verified together: what to add for each, in their order; `known` is what was found
// of each before.
std::vector<std::vector<Finding>> compare_folders(const std::vector<RecordFacts>& folders,
                                                  const std::vector<std::vector<Finding>>& known);

}  // namespace pg
