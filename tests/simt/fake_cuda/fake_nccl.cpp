// Ranks of one process that meet: sends find their receives when both are next on their streams, and data
// move then. What real ones would wait for without end - lists that do not fit - fails here.
#include <nccl.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/simt/fake_cuda/fake_cuda.h"
#include "tests/simt/fake_cuda/fake_streams.h"

using namespace pg::fake_cuda;

namespace {

enum class Kind : uint8_t { kSend, kReceive, kBroadcast, kReduce };

struct Call {
  Kind kind;
  std::byte* data;
  size_t bytes;
  int peer;  // or root
};

class Piece;

// The ranks of an id.
struct Group {
  std::vector<ncclComm*> comms;  // [ranks], null: not here yet, or gone
  int joined = 0;
};

}  // namespace

struct ncclComm {
  std::shared_ptr<Group> group;
  int rank = 0, device = 0;
  uint64_t given = 0;
  bool is_aborted = false, is_leaving = false;
  std::thread::id owner;  // asks for what is under way; others ask whether it fails
  ncclResult_t state = ncclSuccess;
  std::deque<std::shared_ptr<Piece>> pieces;  // given and not over
  std::deque<std::shared_ptr<Piece>> unseen;  // that their streams do not know of yet
};

namespace {

std::map<std::string, std::weak_ptr<Group>> groups;  // by id
int version = NCCL_VERSION_CODE;

// One group of calls of one rank.
class Piece final : public Meeting {
 public:
  Piece(ncclComm& comm, CUstream_st* stream, std::vector<Call> calls)
      : comm_(&comm),
        stream_(stream),
        calls_(std::move(calls)),
        name_("NCCL piece " + std::to_string(++comm.given) + " of rank " +
              std::to_string(comm.rank)) {}

  const std::string& name() const { return name_; }
  CUstream_st* stream() const { return stream_; }
  // Whatever it waits for does not matter any more.
  void drop() { comm_ = nullptr; }

  bool is_complete() override {
    if (comm_ == nullptr || is_over_) return true;
    std::vector<Piece*> all = {this};
    for (size_t i = 0; i < all.size(); ++i) {
      if (!all[i]->add_peers(all)) return false;
    }
    return true;
  }

  void run(int /*timeline*/, Clock& clock) override {
    if (comm_ == nullptr) return;  // aborted: what it was to receive is not there
    if (!is_over_) run_all();
    clock.join(after_);
    std::erase_if(comm_->pieces, [&](const auto& piece) { return piece.get() == this; });
  }

 private:
  std::vector<int> peers() const {
    std::vector<int> peers;
    for (const Call& call : calls_) {
      if (call.kind == Kind::kSend || call.kind == Kind::kReceive) {
        peers.push_back(call.peer);
      } else {
        for (size_t rank = 0; rank < comm_->group->comms.size(); ++rank) {
          peers.push_back(static_cast<int>(rank));
        }
      }
    }
    return peers;
  }

  // What a rank has left out of a piece has none there: then a later one of it is meant.
  bool has_part_for(const Piece& other) const {
    const auto is_of_all = [](const Call& call) {
      return call.kind == Kind::kBroadcast || call.kind == Kind::kReduce;
    };
    return std::any_of(calls_.begin(), calls_.end(), [&](const Call& call) {
      return is_of_all(call) ? std::any_of(other.calls_.begin(), other.calls_.end(), is_of_all)
                             : call.peer == other.comm_->rank;
    });
  }

  // False where one of them is not there yet.
  bool add_peers(std::vector<Piece*>& all) {
    Clock unused;
    if (!is_next(stream_, *this, unused)) return false;
    for (const int rank : peers()) {
      ncclComm* const peer = comm_->group->comms[static_cast<size_t>(rank)];
      if (peer == nullptr || peer->is_aborted || peer->pieces.empty()) return false;
      Piece* const piece = peer->pieces.front().get();
      if (piece->comm_ == nullptr || piece->is_over_ || !piece->has_part_for(*this)) return false;
      if (std::find(all.begin(), all.end(), piece) == all.end()) all.push_back(piece);
    }
    return true;
  }

  void run_all() {
    std::vector<Piece*> all = {this};
    for (size_t i = 0; i < all.size(); ++i) all[i]->add_peers(all);
    std::vector<Clock> before(all.size());
    for (size_t i = 0; i < all.size(); ++i) {
      is_next(all[i]->stream_, *all[i], before[i]);
      all[i]->after_ = before[i];
      all[i]->number_ =
          checker().begin(timeline_of(all[i]->stream_), all[i]->after_, all[i]->name_);
      all[i]->is_over_ = true;
      all[i]->note_reads();
    }
    // What is received has been behind its sender's piece.
    for (Piece* const to : all) {
      for (size_t i = 0; i < all.size(); ++i) {
        if (all[i] == to || !to->hears_of(*all[i])) continue;
        to->after_.join(before[i]);
      }
    }
    bool fits = true;
    for (Piece* const piece : all) fits = piece->move(all) && fits;
    for (Piece* const piece : all) {
      if (!fits) piece->comm_->state = ncclInternalError;
    }
  }

  bool hears_of(const Piece& other) const {
    return std::any_of(calls_.begin(), calls_.end(), [&](const Call& call) {
      return call.kind == Kind::kReceive     ? call.peer == other.comm_->rank
             : call.kind == Kind::kBroadcast ? call.peer == other.comm_->rank
             : call.kind == Kind::kReduce    ? call.peer == comm_->rank
                                             : false;
    });
  }

  void note_reads() const {
    for (const Call& call : calls_) {
      if (call.kind == Kind::kSend || call.kind == Kind::kReduce ||
          (call.kind == Kind::kBroadcast && call.peer == comm_->rank)) {
        checker().access(number_, after_, call.data, call.bytes, false);
      }
    }
  }
  void write(const Call& call, const std::byte* values) const {
    checker().access(number_, after_, call.data, call.bytes, true);
    std::memcpy(call.data, values, call.bytes);
  }

  // Fills what this rank receives; false where the others' calls are not those that it needs.
  bool move(const std::vector<Piece*>& all) {
    std::map<int, size_t> taken;  // of a peer's sends to this rank
    const auto collectives = [](const Piece& piece) {
      std::vector<const Call*> calls;
      for (const Call& call : piece.calls_) {
        if (call.kind == Kind::kBroadcast || call.kind == Kind::kReduce) calls.push_back(&call);
      }
      return calls;
    };
    const std::vector<const Call*> own = collectives(*this);
    for (const Piece* const other : all) {
      const std::vector<const Call*> theirs = collectives(*other);
      if (theirs.size() != own.size()) return false;
      for (size_t i = 0; i < own.size(); ++i) {
        if (own[i]->kind != theirs[i]->kind || own[i]->bytes != theirs[i]->bytes ||
            own[i]->peer != theirs[i]->peer) {
          return false;
        }
      }
    }
    for (size_t i = 0; i < own.size(); ++i) {
      if (own[i]->kind == Kind::kBroadcast && own[i]->peer != comm_->rank) {
        const Piece* const root = find(all, own[i]->peer);
        write(*own[i], collectives(*root)[i]->data);
      }
      if (own[i]->kind == Kind::kReduce && own[i]->peer == comm_->rank)
        sum(all, *own[i], i, collectives);
    }
    for (const Piece* const other : all) {
      std::vector<const Call*> sends, receives;
      for (const Call& call : other->calls_) {
        if (call.kind == Kind::kSend && call.peer == comm_->rank) sends.push_back(&call);
      }
      for (const Call& call : calls_) {
        if (call.kind == Kind::kReceive && call.peer == other->comm_->rank) {
          receives.push_back(&call);
        }
      }
      if (sends.size() != receives.size()) return false;
      for (size_t i = 0; i < sends.size(); ++i) {
        if (sends[i]->bytes != receives[i]->bytes) return false;
        write(*receives[i], sends[i]->data);
      }
    }
    return true;
  }

  // In an order of its own, as NCCL's: the last rank first.
  template <class Collectives>
  void sum(const std::vector<Piece*>& all, const Call& call, size_t i,
           const Collectives& collectives) const {
    std::vector<float> total(call.bytes / sizeof(float), 0.0f);
    for (int rank = static_cast<int>(comm_->group->comms.size()); rank-- > 0;) {
      const auto* const part =
          reinterpret_cast<const float*>(collectives(*find(all, rank))[i]->data);
      for (size_t j = 0; j < total.size(); ++j) total[j] += part[j];
    }
    write(call, reinterpret_cast<const std::byte*>(total.data()));
  }

  static const Piece* find(const std::vector<Piece*>& all, int rank) {
    return *std::find_if(all.begin(), all.end(),
                         [&](const Piece* piece) { return piece->comm_->rank == rank; });
  }

  ncclComm* comm_;
  CUstream_st* stream_;
  const std::vector<Call> calls_;
  const std::string name_;
  bool is_over_ = false;
  uint32_t number_ = 0;  // the checker's
  Clock after_;
};

// Calls of this thread between ncclGroupStart and ncclGroupEnd.
struct Open {
  int depth = 0;
  ncclResult_t failure = ncclSuccess;
  ncclComm* comm = nullptr;
  CUstream_st* stream = nullptr;
  std::vector<Call> calls;
};
thread_local Open open_group;

ncclResult_t fail_group(ncclResult_t error) {
  if (open_group.depth > 0) open_group.failure = error;
  return error;
}

ncclResult_t add_call(ncclComm* comm, CUstream_st* stream, Call call) {
  if (comm->is_aborted || !is_stream(stream) ||
      !is_of_device(call.data, call.bytes, comm->device) || call.peer < 0 ||
      static_cast<size_t>(call.peer) >= comm->group->comms.size()) {
    return fail_group(ncclInvalidArgument);
  }
  if (open_group.depth == 0) return ncclInvalidUsage;  // nobody here does it outside of a group
  if (open_group.comm != nullptr && (open_group.comm != comm || open_group.stream != stream)) {
    return fail_group(ncclInvalidUsage);
  }
  open_group.comm = comm;
  open_group.stream = stream;
  open_group.calls.push_back(call);
  return ncclSuccess;
}

std::byte* bytes_of(const void* data) { return static_cast<std::byte*>(const_cast<void*>(data)); }

void leave_group(ncclComm* comm) {
  for (const auto& piece : comm->pieces) piece->drop();
  comm->pieces.clear();
  comm->unseen.clear();
  auto& comms = comm->group->comms;
  std::replace(comms.begin(), comms.end(), comm, static_cast<ncclComm*>(nullptr));
  delete comm;
  add_live(-1);
  announce();
}

}  // namespace

namespace pg::fake_cuda {
void break_network() {
  const std::lock_guard lock(world());
  for (const auto& [id, known] : groups) {
    const std::shared_ptr<Group> group = known.lock();
    if (group == nullptr) continue;
    for (ncclComm* const comm : group->comms) {
      if (comm != nullptr) comm->state = ncclRemoteError;
    }
  }
}
void set_nccl_version(int number) {
  const std::lock_guard lock(world());
  version = number;
}
}  // namespace pg::fake_cuda

#define FAKE_CALL(error)                                                   \
  const std::lock_guard lock(world());                                     \
  if (const CallFate fate = count_call(__func__); fate != CallFate::kDo) { \
    return fate == CallFate::kDrop ? ncclSuccess : fail_group(error);      \
  }

extern "C" {

const char* ncclGetErrorString(ncclResult_t) { return "an error of the fake NCCL"; }

ncclResult_t ncclGetVersion(int* number) {
  FAKE_CALL(ncclSystemError);
  *number = version;
  return ncclSuccess;
}
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  FAKE_CALL(ncclSystemError);
  static int made = 0;
  *id = {};
  std::to_string(++made).copy(id->internal, sizeof id->internal - 1);
  return ncclSuccess;
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  FAKE_CALL(ncclSystemError);
  if (config->blocking != 0 || rank < 0 || rank >= ranks) return ncclInvalidArgument;
  std::weak_ptr<Group>& known = groups[id.internal];
  std::shared_ptr<Group> group = known.lock();
  if (group == nullptr) {
    known = group = std::make_shared<Group>();
    group->comms.resize(static_cast<size_t>(ranks));
  }
  for (const ncclComm* const other : group->comms) {
    if (other != nullptr && other->device == device_of_thread()) return ncclInvalidUsage;
  }
  *comm = new ncclComm;
  (*comm)->group = group;
  (*comm)->rank = rank;
  (*comm)->device = device_of_thread();
  (*comm)->owner = std::this_thread::get_id();
  group->comms[static_cast<size_t>(rank)] = *comm;
  ++group->joined;
  add_live(1);
  announce();
  return ncclInProgress;
}
// In the background until all have joined, and until all that was given before the end is over.
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state) {
  FAKE_CALL(ncclSystemError);
  *state = comm->state;
  if (comm->state != ncclSuccess) return ncclSuccess;
  if (comm->group->joined < static_cast<int>(comm->group->comms.size())) *state = ncclInProgress;
  if (comm->owner != std::this_thread::get_id()) return ncclSuccess;
  if (!comm->unseen.empty()) {
    *state = ncclInProgress;
    const std::shared_ptr<Piece> piece = comm->unseen.front();
    comm->unseen.pop_front();
    comm->pieces.push_back(piece);
    give(piece->stream(), piece->name(), piece);
  }
  if (comm->is_leaving && !comm->pieces.empty()) {
    run_some();
    *state = ncclInProgress;
  }
  return ncclSuccess;
}
ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  FAKE_CALL(ncclSystemError);
  comm->is_leaving = true;
  return ncclInProgress;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  const std::lock_guard lock(world());
  leave_group(comm);
  return is_to_fail(__func__) ? ncclSystemError : ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  const std::lock_guard lock(world());
  leave_group(comm);
  return is_to_fail(__func__) ? ncclSystemError : ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  FAKE_CALL(ncclSystemError);
  ++open_group.depth;
  return ncclSuccess;
}
// The stream gets it when the handle has been asked after: a real one may be at it when the call returns.
ncclResult_t ncclGroupEnd() {
  const std::lock_guard lock(world());
  if (open_group.depth == 0) return ncclInvalidUsage;
  const Open group = std::exchange(open_group, {});
  if (group.failure != ncclSuccess) return group.failure;
  if (is_to_fail(__func__)) return ncclSystemError;
  if (group.comm == nullptr) return ncclSuccess;
  group.comm->unseen.push_back(std::make_shared<Piece>(*group.comm, group.stream, group.calls));
  return ncclInProgress;
}

ncclResult_t ncclSend(const void* data, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
  FAKE_CALL(ncclUnhandledCudaError);
  if (type != ncclUint8) return fail_group(ncclInvalidArgument);
  return add_call(comm, stream, {Kind::kSend, bytes_of(data), count, peer});
}
ncclResult_t ncclRecv(void* data, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  FAKE_CALL(ncclUnhandledCudaError);
  if (type != ncclUint8) return fail_group(ncclInvalidArgument);
  return add_call(comm, stream, {Kind::kReceive, bytes_of(data), count, peer});
}
ncclResult_t ncclBroadcast(const void* from, void* to, size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  FAKE_CALL(ncclUnhandledCudaError);
  if (type != ncclUint8 || from != to) return fail_group(ncclInvalidArgument);
  return add_call(comm, stream, {Kind::kBroadcast, bytes_of(to), count, root});
}
ncclResult_t ncclReduce(const void* from, void* to, size_t count, ncclDataType_t type,
                        ncclRedOp_t op, int root, ncclComm_t comm, cudaStream_t stream) {
  FAKE_CALL(ncclUnhandledCudaError);
  if (type != ncclFloat32 || op != ncclSum || from != to) return fail_group(ncclInvalidArgument);
  return add_call(comm, stream, {Kind::kReduce, bytes_of(to), count * sizeof(float), root});
}

}  // extern "C"
