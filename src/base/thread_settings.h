// How many threads there are to be. Internal to threads.cpp.
#pragma once

namespace pg {

int granted_cores();         // at least 1
int default_thread_count();  // likewise; what the first loop starts with

}  // namespace pg
