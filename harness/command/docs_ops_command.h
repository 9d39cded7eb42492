// docs/ops.md, generated from the op list so that it cannot go stale.
#pragma once
#include <string>

namespace pg {

std::string write_docs_ops();

}  // namespace pg
