#include "src/base/system_error.h"

#include <cerrno>
#include <cstring>

namespace pg {
namespace {

std::string_view find_advice(int error, std::string_view otherwise) {
  switch (error) {
    case ENOSPC:
      return "free some space or choose another place";
    case EDQUOT:
      return "the quota is used up: free some space or choose another place";
    case EFBIG:
      return "the limit on file sizes is reached: raise it (ulimit -f)";
    case EMFILE:
      return "raise the limit on open files (ulimit -n)";
    case ENFILE:
      return "the machine has too many files open: end other programs or raise fs.file-max";
    case ENOMEM:
      return "free some memory";
    case EBUSY:
      return "something is mounted there: choose another place";
    case EROFS:
      return "choose a place that can be written to";
    case EACCES:
    case EPERM:
      return "check the permissions or choose another place";
    case EIO:
      return "the disk or its connection fails: choose another place";
    default:
      return otherwise;
  }
}

}  // namespace

std::string describe_system_error(int error, std::string_view otherwise) {
  // Not std::error_category: a checked build looks at every virtual call through a pipe, and this
  // names the want of descriptors.
  char buffer[128] = {};
  return std::string(strerror_r(error, buffer, sizeof buffer)) + "; " +
         std::string(find_advice(error, otherwise));
}

}  // namespace pg
