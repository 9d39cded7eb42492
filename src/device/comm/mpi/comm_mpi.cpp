// Comm over MPI: the module comm_mpi.so, which load_mpi.cpp opens. Pieces travel as they are. Beside
// them each rank sends every other one a note of what it does to it, so that ranks that disagree end
// with a message and not in a wait without end. What is waited for is asked after, at last with
// pauses: MPI's own waits would keep a core busy.
#include <mpi.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <thread>
#include <vector>

#include "src/base/check.h"
#include "src/base/rng.h"
#include "src/device/comm/comm_lists.h"
#include "src/device/comm/operation_comm.h"

namespace pg {
namespace {

constexpr uint64_t kRing = 64;                     // operations in flight
constexpr size_t kMessageBytes = size_t{1} << 30;  // MPI counts in int
constexpr uint64_t kTags = 32768;                  // every MPI has so many

// What a rank does to another one in an operation.
struct Note {
  CommKind kind = CommKind::kBarrier;
  uint64_t id = 0, pieces = 0, bytes = 0;
  uint64_t sizes = 0;  // a hash of the pieces' sizes (and ranks, where the lists are the same)

  void add(uint64_t what, size_t piece_bytes) {
    ++pieces;
    bytes += piece_bytes;
    sizes = mix64(mix64(sizes ^ what) ^ piece_bytes);
  }
};

struct Operation {
  CommOperation what;
  bool is_in_flight = false;
  std::vector<Note> sent, received, expected;  // [R]
  std::vector<MPI_Request> notes, pieces;
};

void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING + 1> text = {};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw Error(std::string(call) + ": " + text.data());
}

int tag_of(uint64_t id) { return static_cast<int>(id % kTags); }

class MpiComm final : public OperationComm {
 public:
  MpiComm() : operations_(kRing) {
    int is_there = 0;
    check_mpi(MPI_Initialized(&is_there), "MPI_Initialized");
    if (is_there != 0) throw Error("MPI was already started in this process");
    // The program has threads; one of them speaks to MPI.
    int provided = 0;
    check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks_);
    for (MPI_Comm* comm : {&notes_, &pieces_}) {
      check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, comm), "MPI_Comm_dup");
      check_mpi(MPI_Comm_set_errhandler(*comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    }
    for (Operation& own : operations_) {
      for (std::vector<Note>* notes : {&own.sent, &own.received, &own.expected}) {
        notes->resize(static_cast<size_t>(ranks_));
      }
    }
  }

  // Ends together with the others; where they do something else, that is an error.
  ~MpiComm() override {
    if (std::uncaught_exceptions() > 0) fail("it stopped without a reason");
    try {
      wait(start(CommKind::kEnd, {}, {}));
      MPI_Finalize();
    } catch (const std::exception& error) {
      fail(error.what());
    }
  }

  std::string_view name() const override { return "mpi"; }
  int rank() const override { return rank_; }
  int ranks() const override { return ranks_; }

  void wait(CommTicket ticket) override {
    Operation& own = operations_[ticket.id % kRing];
    PG_CHECK(own.is_in_flight && own.what.id == ticket.id, "a ticket is waited for once");
    or_fail([&] {
      finish(own.notes);
      for (int peer = 0; peer < ranks_; ++peer) check_note(own, peer);
      finish(own.pieces);
    });
    own.is_in_flight = false;
  }

  void fail(std::string_view reason) noexcept override {
    std::array<char, MPI_MAX_PROCESSOR_NAME + 1> host = {};
    int length = 0;
    MPI_Get_processor_name(host.data(), &length);
    std::fprintf(stderr, "error: rank %d of %d on %s: %.*s\n", rank_, ranks_, host.data(),
                 static_cast<int>(std::min<size_t>(reason.size(), 4000)), reason.data());
    MPI_Abort(MPI_COMM_WORLD, 1);
  }

 private:
  template <class Body>
  void or_fail(const Body& body) {
    try {
      body();
    } catch (const std::exception& error) {
      fail(error.what());
      throw;
    }
  }

  CommTicket start(CommKind kind, std::span<const CommPiece> pieces,
                   std::span<const CommPiece> receives) override {
    Operation& own = operations_[next_ % kRing];
    PG_CHECK(!own.is_in_flight, "too many operations in flight; wait for the oldest");
    own.what = {kind, next_};
    own.is_in_flight = true;
    own.notes.clear();
    own.pieces.clear();
    or_fail([&] {
      check_piece_ranks(own.what, pieces, rank_, ranks_);
      check_piece_ranks(own.what, receives, rank_, ranks_);
      write_notes(own, pieces, receives);
      send_notes(own);
      if (kind == CommKind::kExchange) start_exchange(own, pieces, receives);
      if (kind == CommKind::kAllGather) start_gather(own, pieces);
      if (kind == CommKind::kReduceScatter) start_sums(own, pieces);
    });
    return {next_++};
  }

  void write_notes(Operation& own, std::span<const CommPiece> pieces,
                   std::span<const CommPiece> receives) const {
    const Note empty{own.what.kind, own.what.id};
    std::fill(own.sent.begin(), own.sent.end(), empty);
    std::fill(own.expected.begin(), own.expected.end(), empty);
    if (own.what.kind == CommKind::kExchange) {
      for (const CommPiece& piece : pieces) {
        own.sent[static_cast<size_t>(piece.rank)].add(0, piece.bytes);
      }
      for (const CommPiece& piece : receives) {
        own.expected[static_cast<size_t>(piece.rank)].add(0, piece.bytes);
      }
      return;
    }
    Note same = empty;
    for (const CommPiece& piece : pieces) same.add(static_cast<uint64_t>(piece.rank), piece.bytes);
    std::fill(own.sent.begin(), own.sent.end(), same);
    std::fill(own.expected.begin(), own.expected.end(), same);
  }

  void send_notes(Operation& own) {
    for (int peer = 0; peer < ranks_; ++peer) {
      if (peer == rank_) continue;
      const auto place = static_cast<size_t>(peer);
      receive(own.notes, notes_, own.what.id, peer, &own.received[place], sizeof(Note));
      send(own.notes, notes_, own.what.id, peer, &own.sent[place], sizeof(Note));
    }
  }

  void check_note(const Operation& own, int peer) const {
    if (peer == rank_) return;
    const Note& theirs = own.received[static_cast<size_t>(peer)];
    const Note& expected = own.expected[static_cast<size_t>(peer)];
    if (theirs.kind != expected.kind) throw make_kind_error(own.what, rank_, theirs.kind, peer);
    if (theirs.pieces == expected.pieces && theirs.sizes == expected.sizes) return;
    const auto describe = [](const Note& note) {
      return std::to_string(note.pieces) + " pieces of " + std::to_string(note.bytes) +
             " bytes in all";
    };
    throw Error(describe_operation(own.what) + ": " + describe_rank(peer) + " has " +
                describe(theirs) + " where " + describe_rank(rank_) + " expects " +
                describe(expected) +
                (theirs.bytes == expected.bytes ? ", of other sizes or ranks" : ""));
  }

  void start_exchange(Operation& own, std::span<const CommPiece> sends,
                      std::span<const CommPiece> receives) {
    pair_pieces(own.what, rank_, sends, rank_, receives,
                [](const CommPiece& to, const CommPiece& from) {
                  if (to.bytes > 0) std::memcpy(to.data, from.data, to.bytes);
                });
    for (const CommPiece& piece : receives) {
      if (piece.rank == rank_) continue;
      receive(own.pieces, pieces_, own.what.id, piece.rank, piece.data, piece.bytes);
    }
    for (const CommPiece& piece : sends) {
      if (piece.rank == rank_) continue;
      send(own.pieces, pieces_, own.what.id, piece.rank, piece.data, piece.bytes);
    }
  }

  void start_gather(Operation& own, std::span<const CommPiece> pieces) {
    for (const CommPiece& piece : pieces) {
      if (piece.rank != rank_) {
        receive(own.pieces, pieces_, own.what.id, piece.rank, piece.data, piece.bytes);
      }
    }
    for (const CommPiece& piece : pieces) {
      // From the next rank on: not all to the first.
      for (int step = 1; piece.rank == rank_ && step < ranks_; ++step) {
        send(own.pieces, pieces_, own.what.id, (rank_ + step) % ranks_, piece.data, piece.bytes);
      }
    }
  }

  void start_sums(Operation& own, std::span<const CommPiece> pieces) {
    check_float_pieces(own.what, pieces);
    for (const CommPiece& piece : pieces) {
      for_messages(piece.data, piece.bytes, [&](void* data, int bytes) {
        const bool is_mine = piece.rank == rank_;
        check_mpi(MPI_Ireduce(is_mine ? MPI_IN_PLACE : data, is_mine ? data : nullptr,
                              bytes / static_cast<int>(sizeof(float)), MPI_FLOAT, MPI_SUM,
                              piece.rank, pieces_, &own.pieces.emplace_back()),
                  "MPI_Ireduce");
      });
    }
  }

  // Pieces of no bytes are no messages: the notes say that both ends have them.
  template <class Body>
  static void for_messages(void* data, size_t bytes, const Body& body) {
    for (size_t at = 0; at < bytes; at += kMessageBytes) {
      body(static_cast<char*>(data) + at, static_cast<int>(std::min(kMessageBytes, bytes - at)));
    }
  }

  static void send(std::vector<MPI_Request>& requests, MPI_Comm comm, uint64_t id, int to,
                   void* data, size_t bytes) {
    for_messages(data, bytes, [&](void* part, int part_bytes) {
      check_mpi(
          MPI_Isend(part, part_bytes, MPI_BYTE, to, tag_of(id), comm, &requests.emplace_back()),
          "MPI_Isend");
    });
  }

  static void receive(std::vector<MPI_Request>& requests, MPI_Comm comm, uint64_t id, int from,
                      void* data, size_t bytes) {
    for_messages(data, bytes, [&](void* part, int part_bytes) {
      check_mpi(
          MPI_Irecv(part, part_bytes, MPI_BYTE, from, tag_of(id), comm, &requests.emplace_back()),
          "MPI_Irecv");
    });
  }

  static void finish(std::vector<MPI_Request>& requests) {
    // A rank that has waited so long waits for another's work, not for bytes under way: those need
    // to be asked after often, because MPI moves them only then.
    constexpr auto kBusyTime = std::chrono::milliseconds(200);
    constexpr auto kPause = std::chrono::microseconds(50);
    const auto began = std::chrono::steady_clock::now();
    for (int are_done = 0;;) {
      check_mpi(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &are_done,
                            MPI_STATUSES_IGNORE),
                "MPI_Testall");
      if (are_done != 0) return;
      if (std::chrono::steady_clock::now() - began < kBusyTime) {
        std::this_thread::yield();
      } else {
        std::this_thread::sleep_for(kPause);
      }
    }
  }

  int rank_ = 0, ranks_ = 1;
  MPI_Comm notes_ = MPI_COMM_NULL, pieces_ = MPI_COMM_NULL;
  std::vector<Operation> operations_;  // [kRing]
  uint64_t next_ = 1;
};

}  // namespace
}  // namespace pg

extern "C" pg::Comm* pg_make_mpi_comm() { return std::make_unique<pg::MpiComm>().release(); }
