#include "src/device/comm/nccl/nccl_library.h"

#include <dlfcn.h>
#include <nccl.h>

#include <cstdlib>
#include <cstring>

#include "src/base/error.h"

namespace pg {
namespace {

// The first whose handles need not block (ncclConfig_t::blocking): a rank that waits for one that is gone
// must be able to give up.
constexpr int kLeastVersion = NCCL_VERSION(2, 14, 3);

// The name that every NCCL of version 2 is installed under. The variable is for those that lie elsewhere.
constexpr const char* kLibrary = "libnccl.so.2";
constexpr const char* kLibraryVariable = "PG_NCCL_LIBRARY";

std::string describe_version(int version) {
  // NCCL counted otherwise before 2.9; those are too old anyway.
  if (version < 20000) return "2." + std::to_string(version / 100 % 10);
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

#define PG_NCCL_CALLS(CALL) \
  CALL(GetVersion)          \
  CALL(GetUniqueId)         \
  CALL(CommInitRankConfig)  \
  CALL(CommGetAsyncError)   \
  CALL(CommFinalize)        \
  CALL(CommDestroy)         \
  CALL(CommAbort)           \
  CALL(GetErrorString)      \
  CALL(GroupStart)          \
  CALL(GroupEnd)            \
  CALL(Send)                \
  CALL(Recv)                \
  CALL(Broadcast)           \
  CALL(Reduce)

class OpenedNccl final : public NcclLibrary {
 public:
  OpenedNccl() { open(); }

  const std::string& refusal() const { return refusal_; }  // why it cannot be used, or empty

  std::string version() const override { return describe_version(version_); }
  NcclId make_id() const override {
    ncclUniqueId made = {};
    check(GetUniqueId(&made), "making an id");
    NcclId id;
    static_assert(sizeof id == sizeof made);
    std::memcpy(id.data(), &made, sizeof made);
    return id;
  }

  void start_joining(NcclHandle& handle, int ranks, const NcclId& id, int rank) const override {
    ncclUniqueId given = {};
    std::memcpy(&given, id.data(), sizeof given);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    check(CommInitRankConfig(&handle, ranks, given, rank, &config), "joining the ranks");
  }
  bool is_ready(NcclHandle handle) const override {
    ncclResult_t state = ncclSuccess;
    check(CommGetAsyncError(handle, &state), "asking after its work");
    check(state, "work under way");
    return state == ncclSuccess;
  }
  void start_leaving(NcclHandle handle) const override {
    check(CommFinalize(handle), "leaving the ranks");
  }
  void destroy(NcclHandle handle) const noexcept override { CommDestroy(handle); }
  void abort(NcclHandle handle) const noexcept override { CommAbort(handle); }

  void begin_group() const override { check(GroupStart(), "beginning a group"); }
  void end_group() const override { check(GroupEnd(), "giving a group"); }
  void drop_group() const noexcept override { GroupEnd(); }
  void send(NcclHandle handle, const void* data, size_t bytes, int to,
            ::CUstream_st* stream) const override {
    check(Send(data, bytes, ncclUint8, to, handle, stream), "sending");
  }
  void receive(NcclHandle handle, void* data, size_t bytes, int from,
               ::CUstream_st* stream) const override {
    check(Recv(data, bytes, ncclUint8, from, handle, stream), "receiving");
  }
  void broadcast(NcclHandle handle, void* data, size_t bytes, int root,
                 ::CUstream_st* stream) const override {
    check(Broadcast(data, data, bytes, ncclUint8, root, handle, stream), "a broadcast");
  }
  void sum_floats(NcclHandle handle, void* data, size_t count, int root,
                  ::CUstream_st* stream) const override {
    check(Reduce(data, data, count, ncclFloat32, ncclSum, root, handle, stream), "a sum");
  }

 private:
  void open() {
    const char* const chosen = std::getenv(kLibraryVariable);
    // Never closed: it has threads of its own.
    void* const module =
        ::dlopen(chosen != nullptr ? chosen : kLibrary, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (module == nullptr) return refuse_for(::dlerror());
    const auto find = [&](auto& call, const char* name) {
      call = reinterpret_cast<std::remove_reference_t<decltype(call)>>(::dlsym(module, name));
    };
    find(GetVersion, "ncclGetVersion");
    const bool has_version =
        GetVersion != nullptr && GetVersion(&version_) == ncclSuccess && version_ > 0;
    if (!has_version) return refuse_for("it does not tell its version");
    if (version_ < kLeastVersion) {
      refusal_ = "NCCL " + describe_version(version_) + " is too old, " +
                 describe_version(kLeastVersion) + " is the least";
      return;
    }
#define PG_FIND(NAME)       \
  find(NAME, "nccl" #NAME); \
  if (NAME == nullptr) return refuse_for("it has no nccl" #NAME);
    PG_NCCL_CALLS(PG_FIND)
#undef PG_FIND
  }

  void refuse_for(const char* reason) {
    refusal_ = std::string("no NCCL: \"") + (reason != nullptr ? reason : "") + "\"";
  }
  void check(ncclResult_t code, const char* what) const {
    if (code == ncclSuccess || code == ncclInProgress) return;
    throw Error(std::string("NCCL: ") + what + ": \"" + GetErrorString(code) + "\"");
  }

#define PG_DECLARE(NAME) decltype(&nccl##NAME) NAME = nullptr;
  PG_NCCL_CALLS(PG_DECLARE)
#undef PG_DECLARE
  int version_ = 0;
  std::string refusal_;
};

}  // namespace

std::shared_ptr<const NcclLibrary> open_nccl(std::string& refusal) {
  auto library = std::make_shared<const OpenedNccl>();
  refusal = library->refusal();
  if (!refusal.empty()) return nullptr;
  return library;
}

}  // namespace pg
