// What the stubs of eval/scorer/without_*/ do when they are called.
#pragma once
#include "src/base/error.h"

namespace pg {

[[noreturn]] inline void fail_left_out() {
  throw Error(
      "this scorer was built without a part that is asked for; build the one that the artifact "
      "was packed with, or use train_gpt");
}

}  // namespace pg
