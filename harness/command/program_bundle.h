// The program's own sources, and the Python script that builds and runs them: what a submission's train_gpt.py is made
// of. The values are written by scripts/bundle_program.py.
#pragma once
#include <string>

namespace pg {

// A tar archive under xz in base 85, in lines.
std::string program_sources();
// scripts/launcher.py, with @RECIPE@ and @SOURCES@ to fill in.
std::string launcher_text();

}  // namespace pg
