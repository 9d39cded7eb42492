#include "src/base/file_descriptor.h"

#include <unistd.h>

namespace pg {

void FileDescriptor::reset() {
  if (valid()) ::close(release());
}

}  // namespace pg
