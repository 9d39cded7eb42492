// In place of src/base/host: a thread for each core that this process may use.
#include <algorithm>
#include <thread>

#include "src/base/thread_settings.h"

namespace pg {

int granted_cores() {
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, 1024);
}
int default_thread_count() { return granted_cores(); }

}  // namespace pg
