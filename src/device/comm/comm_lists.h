// What the implementations of Comm share: how the lists of two ranks are held against each other,
// and how a disagreement is told.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "src/base/error.h"
#include "src/device/comm/comm.h"

namespace pg {

// kEnd: the rank does nothing any more.
enum class CommKind : uint8_t { kExchange, kAllGather, kReduceScatter, kBarrier, kEnd };

// One operation as a rank sees it, for messages: every rank counts its operations alike.
struct CommOperation {
  CommKind kind = CommKind::kBarrier;
  uint64_t id = 0;
};

// "all_gather 17"
inline std::string describe_operation(CommOperation operation) {
  constexpr const char* kNames[] = {"exchange", "all_gather", "reduce_scatter", "barrier", "end"};
  return std::string(kNames[static_cast<size_t>(operation.kind)]) + " " +
         std::to_string(operation.id);
}

inline std::string describe_rank(int rank) { return "rank " + std::to_string(rank); }

// Two ranks that do different things as their operation of that number.
inline Error make_kind_error(CommOperation mine, int rank, CommKind theirs, int peer) {
  if (theirs == CommKind::kEnd) {
    return Error(describe_operation(mine) + ": " + describe_rank(peer) + " has left without it");
  }
  return Error(describe_rank(rank) + " does " + describe_operation(mine) + " where " +
               describe_rank(peer) + " does " + describe_operation({theirs, mine.id}));
}

// Every rank that stands in a list must exist.
inline void check_piece_ranks(CommOperation operation, std::span<const CommPiece> pieces, int rank,
                              int ranks) {
  for (const CommPiece& piece : pieces) {
    if (piece.rank >= 0 && piece.rank < ranks) continue;
    throw Error(describe_operation(operation) + ": " + describe_rank(rank) + " names rank \"" +
                std::to_string(piece.rank) + "\" of " + std::to_string(ranks));
  }
}

// The sends of rank `from` that go to rank `to`, beside the receives of `to` that come from `from`,
// in order: calls move(receive, send) for each pair. Throws when they differ, before any byte is
// written past a receive.
template <class Move>
void pair_pieces(CommOperation operation, int from, std::span<const CommPiece> sends, int to,
                 std::span<const CommPiece> receives, const Move& move) {
  const auto next = [](std::span<const CommPiece> list, size_t at, int rank) {
    while (at < list.size() && list[at].rank != rank) ++at;
    return at;
  };
  const auto say = [&](const std::string& sent, const std::string& expected, int64_t place) {
    return Error(describe_operation(operation) + ": " + describe_rank(from) + " sends " + sent +
                 " to " + describe_rank(to) + ", which expects " + expected + ", as piece " +
                 std::to_string(place) + " between them");
  };
  const auto bytes = [](const CommPiece& piece) { return std::to_string(piece.bytes) + " bytes"; };
  int64_t place = 0;
  for (size_t s = 0, r = 0;; ++s, ++r, ++place) {
    s = next(sends, s, to);
    r = next(receives, r, from);
    const bool has_send = s < sends.size(), has_receive = r < receives.size();
    if (!has_send && !has_receive) return;
    if (!has_send) throw say("nothing", bytes(receives[r]), place);
    if (!has_receive) throw say(bytes(sends[s]), "nothing", place);
    if (sends[s].bytes != receives[r].bytes) throw say(bytes(sends[s]), bytes(receives[r]), place);
    move(receives[r], sends[s]);
  }
}

// The lists of an operation that takes the same on every rank.
inline void check_same_list(CommOperation operation, int rank, std::span<const CommPiece> mine,
                            int peer, std::span<const CommPiece> theirs) {
  const auto describe = [](std::span<const CommPiece> list, size_t i) {
    return i >= list.size()
               ? std::string("missing")
               : std::to_string(list[i].bytes) + " bytes of rank " + std::to_string(list[i].rank);
  };
  for (size_t i = 0; i < mine.size() || i < theirs.size(); ++i) {
    const bool is_same = i < mine.size() && i < theirs.size() && mine[i].rank == theirs[i].rank &&
                         mine[i].bytes == theirs[i].bytes;
    if (is_same) continue;
    throw Error(describe_operation(operation) + ": piece " + std::to_string(i) + " is " +
                describe(mine, i) + " on " + describe_rank(rank) + ", " + describe(theirs, i) +
                " on " + describe_rank(peer));
  }
}

// What is summed are whole f32 elements.
inline void check_float_pieces(CommOperation operation, std::span<const CommPiece> pieces) {
  for (const CommPiece& piece : pieces) {
    if (piece.bytes % sizeof(float) == 0) continue;
    throw Error(describe_operation(operation) + ": a piece of \"" + std::to_string(piece.bytes) +
                "\" bytes holds no whole number of f32");
  }
}

}  // namespace pg
