// Where a stated score comes from: one line of the logs, or the mean of one evaluation over them.
#pragma once
#include <vector>

#include "harness/verify/record_facts.h"

namespace pg {

// To the digits given. A mean may leave out one log of four or more.
ScoreMatch match_score(const RecordFacts& facts, const StatedNumber& stated);

// Whether a log has a number of as many digits as the stated score, and equal to it, in whatever line;
// not for a score of fewer than five digits, which many a number is by chance.
bool is_number_in_logs(const RecordFacts& facts, const StatedNumber& stated);

// Each seed's final score, by the last evaluation that all logs with a final score have, or else each
// log's last one.
std::vector<SeedClaim> list_seed_scores(const RecordFacts& facts);

// The last evaluation of a log; null where it has none.
const LogScore* last_evaluation(const LogFacts& log);

}  // namespace pg
