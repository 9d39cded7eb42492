#include "tests/comm/comm_checks.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "src/base/rng.h"

namespace pg {
namespace {

using Buffer = std::vector<uint8_t>;

// Byte `i` of a piece: every rank knows every piece's content.
uint8_t byte_at(uint64_t piece, size_t i) { return static_cast<uint8_t>(mix64(piece ^ (i * 977))); }

Buffer make_content(uint64_t piece, size_t bytes) {
  Buffer content(bytes);
  for (size_t i = 0; i < bytes; ++i) content[i] = byte_at(piece, i);
  return content;
}

size_t random_bytes(const CounterRng& rng, uint64_t index) {
  constexpr std::array<size_t, 8> kSizes = {0, 1, 4, 63, 64, 1000, 4096, 70001};
  return kSizes[rng.below(index, kSizes.size())];
}

// Ticket numbers 0..count-1 in an order of this rank's own.
std::vector<size_t> shuffle(const CounterRng& rng, size_t count, int rank) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  const CounterRng own(rng.bits(99), static_cast<uint64_t>(rank));
  for (size_t i = count; i > 1; --i) std::swap(order[i - 1], order[own.below(i, i)]);
  return order;
}

// The plain model: a list of (from, to, bytes) that all ranks draw alike; each sends and receives
// its own of them.
struct RandomExchange {
  RandomExchange(Comm& comm, const CounterRng& rng, uint64_t first_piece) {
    const auto ranks = static_cast<uint64_t>(comm.ranks());
    const uint64_t pieces = rng.below(0, 4 * ranks);
    for (uint64_t i = 0; i < pieces; ++i) {
      const int from = static_cast<int>(rng.below(3 * i + 1, ranks));
      const int to = static_cast<int>(rng.below(3 * i + 2, ranks));
      const Buffer content = make_content(first_piece + i, random_bytes(rng, 3 * i + 3));
      if (from == comm.rank()) add(sends, sent, to, content);
      if (to == comm.rank()) {
        add(receives, received, from, Buffer(content.size(), 0xEE));
        expected.push_back(content);
      }
    }
  }
  static void add(std::vector<CommPiece>& list, std::vector<Buffer>& buffers, int rank,
                  const Buffer& content) {
    buffers.push_back(content);
    list.push_back({rank, buffers.back().data(), content.size()});
  }

  std::vector<CommPiece> sends, receives;
  std::vector<Buffer> sent, received, expected;
};

}  // namespace

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error("check failed: " + what);
}

void check_random_exchanges(Comm& comm, uint64_t seed, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    const CounterRng rng(seed, static_cast<uint64_t>(round));
    const size_t in_flight = 1 + rng.below(0, 7);
    std::vector<RandomExchange> exchanges;
    std::vector<CommTicket> tickets;
    exchanges.reserve(in_flight);
    for (size_t i = 0; i < in_flight; ++i) {
      exchanges.emplace_back(comm, CounterRng(rng.bits(1), i), 1000 * i);
      tickets.push_back(comm.exchange(exchanges[i].sends, exchanges[i].receives));
    }
    for (const size_t i : shuffle(rng, in_flight, comm.rank())) {
      comm.wait(tickets[i]);
      require(exchanges[i].received == exchanges[i].expected,
              "exchange of round " + std::to_string(round));
      for (Buffer& buffer : exchanges[i].sent) std::fill(buffer.begin(), buffer.end(), uint8_t{0});
    }
  }
}

void check_random_gathers(Comm& comm, uint64_t seed, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    const CounterRng rng(seed, static_cast<uint64_t>(round));
    const size_t in_flight = 1 + rng.below(0, 4);
    std::vector<std::vector<Buffer>> buffers(in_flight), expected(in_flight);
    std::vector<CommTicket> tickets;
    for (size_t i = 0; i < in_flight; ++i) {
      std::vector<CommPiece> pieces;
      const uint64_t count = rng.below(10 + i, 3 * static_cast<uint64_t>(comm.ranks()));
      for (uint64_t j = 0; j < count; ++j) {
        const uint64_t index = 100 * (i + 1) + 2 * j;
        const int owner = static_cast<int>(rng.below(index, static_cast<uint64_t>(comm.ranks())));
        expected[i].push_back(make_content(index, random_bytes(rng, index + 1)));
        buffers[i].push_back(owner == comm.rank() ? expected[i].back()
                                                  : Buffer(expected[i].back().size(), 0xEE));
        pieces.push_back({owner, buffers[i].back().data(), buffers[i].back().size()});
      }
      tickets.push_back(comm.all_gather(pieces));
    }
    for (const size_t i : shuffle(rng, in_flight, comm.rank())) {
      comm.wait(tickets[i]);
      require(buffers[i] == expected[i], "all_gather of round " + std::to_string(round));
    }
  }
}

void check_random_sums(Comm& comm, uint64_t seed, int rounds) {
  const int shares = comm.ranks() * (comm.ranks() + 1) / 2;  // 1 + 2 + ... + R
  const auto value = [](int rank, uint64_t piece, size_t i) {
    return static_cast<float>(mix64(piece * 131 + i) % 1000) * static_cast<float>(rank + 1);
  };
  for (int round = 0; round < rounds; ++round) {
    const CounterRng rng(seed, static_cast<uint64_t>(round));
    std::vector<std::vector<float>> buffers;
    std::vector<CommPiece> pieces;
    const uint64_t count = rng.below(0, 3 * static_cast<uint64_t>(comm.ranks()));
    for (uint64_t j = 0; j < count; ++j) {
      const int owner = static_cast<int>(rng.below(2 * j + 1, static_cast<uint64_t>(comm.ranks())));
      std::vector<float> numbers(random_bytes(rng, 2 * j + 2) / sizeof(float));
      for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = value(comm.rank(), j, i);
      buffers.push_back(std::move(numbers));
      pieces.push_back({owner, buffers.back().data(), buffers.back().size() * sizeof(float)});
    }
    comm.wait(comm.reduce_scatter(pieces));
    for (size_t j = 0; j < pieces.size(); ++j) {
      for (size_t i = 0; pieces[j].rank == comm.rank() && i < buffers[j].size(); ++i) {
        require(buffers[j][i] == value(0, j, i) * static_cast<float>(shares),
                "reduce_scatter of round " + std::to_string(round));
      }
    }
  }
}

void check_operations_in_a_row(Comm& comm, int operations) {
  const auto ranks = static_cast<size_t>(comm.ranks());
  const auto rank = static_cast<size_t>(comm.rank());
  std::vector<uint64_t> out(ranks), in(ranks);
  std::vector<CommPiece> sends(ranks), receives(ranks);
  for (size_t peer = 0; peer < ranks; ++peer) {
    sends[peer] = {static_cast<int>(peer), &out[peer], sizeof out[peer]};
    receives[peer] = {static_cast<int>(peer), &in[peer], sizeof in[peer]};
  }
  const auto value = [&](int operation, size_t from, size_t to) {
    return static_cast<uint64_t>(operation) * 10000 + from * 100 + to;
  };
  for (int i = 0; i < operations; ++i) {
    for (size_t peer = 0; peer < ranks; ++peer) {
      out[peer] = value(i, rank, peer);
      in[peer] = 0;
    }
    comm.wait(comm.exchange(sends, receives));
    for (size_t peer = 0; peer < ranks; ++peer) {
      require(in[peer] == value(i, peer, rank), "operation " + std::to_string(i) + " in a row");
    }
  }
}

void check_broadcast_and_barrier(Comm& comm) {
  for (int root = 0; root < comm.ranks(); ++root) {
    std::array<int, 3> numbers = {};
    if (comm.rank() == root) numbers = {root, 7, -root};
    comm.broadcast(numbers.data(), sizeof numbers, root);
    require(numbers == std::array<int, 3>{root, 7, -root}, "broadcast");
    comm.barrier();
  }
}

void check_comm(Comm& comm, uint64_t seed) {
  check_random_exchanges(comm, seed, 60);
  check_random_gathers(comm, seed + 1, 60);
  check_random_sums(comm, seed + 2, 40);
  check_operations_in_a_row(comm, 1000);
  check_broadcast_and_barrier(comm);
}

}  // namespace pg
