// One HTML page about some runs: what they scored, in what time and bytes, how they got there, and in which keys they
// differ. It needs nothing beside itself, runs no script, and shows strangers' text as text.
#pragma once
#include <string>
#include <vector>

#include "harness/record/run_story.h"

namespace pg {

// Of at least one run.
std::string write_html_report(const std::vector<RunStory>& runs);

}  // namespace pg
