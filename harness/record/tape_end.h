// The closing line of a tape, which binds what a run came to: the names and SHA-256 of its recipe,
// logs, artifact, counted sources, coded text and submission.json, with the score as it was printed.
// README.md and loss.svg only tell of these, and a user may add to them.
#pragma once
#include <filesystem>
#include <string_view>

#include "eval/audit/audit.h"
#include "harness/record/run_folder.h"
#include "harness/record/run_result.h"
#include "src/base/hash.h"

namespace pg {

// Writes it behind the folder's tape, which grows no more; the other files lie there already, but for
// submission.json, of which this is the text: it comes last, so that a kill leaves either no record,
// and the run goes on from its checkpoint, or a whole one. A tape that was removed or damaged stays
// as it is, with a warning on stderr. Throws Error.
void close_tape(const RunFolder& folder, const RunResult& result, std::string_view submission);

// V17. Whether the tape in the folder of this artifact is whole and closed, and each file that it binds
// is the one it binds; not run where there is no tape, one of format 1, or no record yet. The files are
// a stranger's: links are not followed, nor names that lead out of the folder.
ProbeResult probe_tape(const std::filesystem::path& folder, const Sha256& artifact_sha256);

}  // namespace pg
