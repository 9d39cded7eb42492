// The record of a run: submission.json in the community's keys, README.md with what it took in time
// and bytes, the loss curve, and the artifact beside the logs that the run wrote. The same result
// always gives the same bytes; the date and every time are part of the result.
#pragma once
#include <string>

#include "harness/record/run_folder.h"
#include "harness/record/run_result.h"

namespace pg {

// Writes submission.json last: a folder that has it holds a whole record. Throws Error.
void write_record(const RunFolder& folder, const RunResult& result);

std::string write_submission_json(const RunResult& result);
std::string write_record_readme(const RunResult& result);  // record_readme.cpp

}  // namespace pg
