// The records below a folder as one table a track: the best score first, what each changed beside it. Generated, so that
// it says what the records say.
#pragma once
#include <filesystem>
#include <string>

namespace pg {

// Markdown, of every folder below `root` that has a submission.json; the seeds' own folders inside a set's are not rows
// of their own. Links to rows are relative to `root`. What changed is the record's own sentence and, where both
// have a recipe, its keys against the record of the day before it in its track. The same records give the same bytes.
// Throws Error that names a record which cannot be read.
std::string write_leaderboard(const std::filesystem::path& root);

}  // namespace pg
