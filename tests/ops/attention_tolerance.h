// Error bounds of attention and its backward, from the norms of what each sum adds up.
#pragma once
#include "tests/ops/op_case.h"

namespace pg::optest {

struct AttentionErrors {
  Values y, lse;
};
AttentionErrors attention_errors(const Problem& p, const AttentionShape& shape);

struct AttentionBackwardErrors {
  Values dq, dk, dv;
};
AttentionBackwardErrors attention_backward_errors(const Problem& p, const AttentionShape& shape);

}  // namespace pg::optest
