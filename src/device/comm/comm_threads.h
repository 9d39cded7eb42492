// Comm of ranks that are threads of one process. A rank posts its lists; the others copy from its
// buffers what is theirs while they wait. So data move once, and a rank's wait() returns when the
// others have taken their parts.
#pragma once
#include <memory>
#include <vector>

#include "src/base/error.h"
#include "src/device/comm/comm.h"

namespace pg {

// What a rank gets because another one ended: the cause is that one's.
class PeerError : public Error {
 public:
  using Error::Error;
};

// One for each rank, for one thread each. Buffers are host memory. reduce_scatter adds in the order
// of ranks. At most 64 operations of a rank are in flight. A rank whose Comm goes before the others
// are done is an error of theirs, as fail() is. Buffers that others may be copying from live until
// wait(), or this rank's fail(), or an Error of its Comm has returned.
std::vector<std::unique_ptr<Comm>> make_thread_comms(int ranks);

}  // namespace pg
