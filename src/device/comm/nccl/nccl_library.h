// The calls of NCCL that we make, in our own types. The library is opened at run time: a machine with one
// GPU need not have it, and a version that is too old is said to be and not used.
#pragma once
#include <array>
#include <cstddef>
#include <memory>
#include <string>

struct ncclComm;     // NCCL's own name for what an ncclComm_t points to
struct CUstream_st;  // likewise the CUDA runtime's

namespace pg {

using NcclHandle = ::ncclComm*;
using NcclId = std::array<char, 128>;  // names a group of ranks; one makes it and tells the others

// All throw Error, "NCCL: sending: ...". Handles do not block: a call that takes its time goes on in the
// background, and is_ready() tells when its part on the host is done.
class NcclLibrary {
 public:
  virtual ~NcclLibrary() = default;

  // "2.28.9"
  virtual std::string version() const = 0;
  virtual NcclId make_id() const = 0;

  virtual void start_joining(NcclHandle& handle, int ranks, const NcclId& id, int rank) const = 0;
  virtual bool is_ready(NcclHandle handle) const = 0;
  // Ends it in order, once is_ready(); one that has failed is aborted instead, by any thread, which ends
  // what it has under way on the GPU.
  virtual void start_leaving(NcclHandle handle) const = 0;
  virtual void destroy(NcclHandle handle) const noexcept = 0;
  virtual void abort(NcclHandle handle) const noexcept = 0;

  // Between these two, of this thread, calls are put together to one piece of work on their stream.
  virtual void begin_group() const = 0;
  virtual void end_group() const = 0;
  // After a call of the group has failed: nothing of it is done.
  virtual void drop_group() const noexcept = 0;
  virtual void send(NcclHandle handle, const void* data, size_t bytes, int to,
                    ::CUstream_st* stream) const = 0;
  virtual void receive(NcclHandle handle, void* data, size_t bytes, int from,
                       ::CUstream_st* stream) const = 0;
  virtual void broadcast(NcclHandle handle, void* data, size_t bytes, int root,
                         ::CUstream_st* stream) const = 0;
  virtual void sum_floats(NcclHandle handle, void* data, size_t count, int root,
                          ::CUstream_st* stream) const = 0;
};

// The library of this machine, or null with the reason: there is none, or it is too old. Shared by the
// ranks of a process, any of which may be the last to end.
std::shared_ptr<const NcclLibrary> open_nccl(std::string& refusal);

}  // namespace pg
