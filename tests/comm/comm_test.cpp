// Comm over threads of this process, and of one rank: values, failures, lists that do not fit.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "src/base/threads.h"
#include "src/device/comm/comm_single.h"
#include "src/device/comm/comm_staged.h"
#include "src/device/comm/comm_threads.h"
#include "src/device/comm/run_ranks.h"
#include "src/device/registry/make_device.h"
#include "tests/comm/comm_checks.h"
#include "tests/plan/allocation_counter.h"

namespace pg {
namespace {

class Ranks : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Comm, Ranks, testing::Values(1, 2, 3, 4, 8));

TEST_P(Ranks, GiveWhatThePlainModelGives) {
  run_ranks(GetParam(), [&](Comm& comm) {
    require(comm.ranks() == GetParam(), "as many ranks as were started");
    require(comm.name() == (GetParam() == 1 ? "single" : "threads"), "the name");
    check_comm(comm, 17);
  });
}

TEST_P(Ranks, GiveItThroughTheirHostsToo) {
  run_ranks(GetParam(), [&](Comm& comm) {
    const auto device = make_device("cpu:exact");
    const std::unique_ptr<Comm> staged = make_staged_comm(comm, *device);
    require(staged->ranks() == GetParam(), "as many ranks as were started");
    require(&staged->host() == &comm, "the host's");
    check_comm(*staged, 18);
  });
}

TEST_P(Ranks, DoTenThousandOperationsInARow) {
  run_ranks(GetParam(), [](Comm& comm) { check_operations_in_a_row(comm, 10000); });
}

TEST_P(Ranks, AllocateNothingOnceTheirListsHaveBeenThere) {
  run_ranks(GetParam(), [](Comm& comm) {
    const auto ranks = static_cast<size_t>(comm.ranks());
    std::vector<float> sent(16 * ranks), received(16 * ranks), shared(16 * ranks);
    const auto list = [&](std::vector<float>& floats) {
      std::vector<CommPiece> pieces;
      for (size_t i = 0; i < ranks; ++i) {
        pieces.push_back({static_cast<int>(i), &floats[16 * i], 16 * sizeof(float)});
      }
      return pieces;
    };
    const std::vector<CommPiece> sends = list(sent), receives = list(received);
    const std::vector<CommPiece> pieces = list(shared);
    const auto run_steps = [&](int steps) {
      for (int i = 0; i < steps; ++i) {
        const CommTicket exchange = comm.exchange(sends, receives);
        comm.wait(comm.all_gather(pieces));
        comm.wait(exchange);
        comm.wait(comm.reduce_scatter(pieces));
        comm.barrier();
      }
    };
    run_steps(64);
    int64_t allocations = 0;
    // One counter for the whole process: rank 0 counts for all.
    if (comm.rank() == 0) {
      allocations = count_allocations([&] { run_steps(100); });
    } else {
      run_steps(100);
    }
    // No text is made where all is well: others may still be counting.
    if (allocations != 0) {
      require(false, std::to_string(allocations) + " allocations in 400 operations");
    }
  });
}

TEST(ThreadComm, OfOneRankDoesTheSame) { check_comm(*make_thread_comms(1).front(), 3); }

TEST(ThreadComm, SumsInTheOrderOfRanks) {
  // 1e8 + 1 - 1e8 is 0 from the left in f32, and 1 in another order.
  run_ranks(3, [](Comm& comm) {
    constexpr std::array<float, 3> kParts = {1e8f, 1.0f, -1e8f};
    for (int owner = 0; owner < 3; ++owner) {
      std::vector<float> part(5000, kParts[static_cast<size_t>(comm.rank())]);
      const CommPiece piece{owner, part.data(), part.size() * sizeof(float)};
      comm.wait(comm.reduce_scatter({&piece, 1}));
      require(comm.rank() != owner || part == std::vector<float>(5000, 0.0f), "the sum");
    }
  });
}

// ---- failures ----

using Operation = std::function<void(Comm&)>;

void exchange_all(Comm& comm) {
  static thread_local std::array<uint64_t, 16> out, in;
  std::vector<CommPiece> sends, receives;
  for (int rank = 0; rank < comm.ranks(); ++rank) {
    sends.push_back({rank, &out[static_cast<size_t>(rank)], 8});
    receives.push_back({rank, &in[static_cast<size_t>(rank)], 8});
  }
  comm.wait(comm.exchange(sends, receives));
}

void gather_all(Comm& comm) {
  static thread_local std::array<float, 16> numbers;
  std::vector<CommPiece> pieces;
  for (int rank = 0; rank < comm.ranks(); ++rank) {
    pieces.push_back({rank, &numbers[static_cast<size_t>(rank)], 4});
  }
  comm.wait(comm.all_gather(pieces));
}

void sum_all(Comm& comm) {
  static thread_local std::array<float, 16> numbers;
  std::vector<CommPiece> pieces;
  for (int rank = 0; rank < comm.ranks(); ++rank) {
    pieces.push_back({rank, &numbers[static_cast<size_t>(rank)], 4});
  }
  comm.wait(comm.reduce_scatter(pieces));
}

const std::vector<Operation> kOperations = {exchange_all, gather_all, sum_all,
                                            [](Comm& comm) { comm.barrier(); },
                                            [](Comm& comm) {
                                              int number = 0;
                                              comm.broadcast(&number, sizeof number, 1);
                                            }};

// What run_ranks throws, or "".
std::string failure_of(int ranks, const Operation& body) {
  try {
    run_ranks(ranks, body);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST(Failure, WakesEveryRankThatWaitsInWhateverOperation) {
  for (size_t number = 0; number < kOperations.size(); ++number) {
    std::mutex mutex;
    std::vector<std::string> heard;
    std::atomic<int> waiting = 0;
    std::chrono::steady_clock::time_point failed_at;
    const std::string failure = failure_of(4, [&](Comm& comm) {
      for (int i = 0; i < 3; ++i) kOperations[number](comm);
      if (comm.rank() == 2) {
        while (waiting < 3) std::this_thread::yield();
        // Deep in the wait, not before it.
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        failed_at = std::chrono::steady_clock::now();
        throw std::runtime_error("the disk is full");
      }
      ++waiting;
      try {
        kOperations[number](comm);
      } catch (const PeerError& error) {
        const std::lock_guard lock(mutex);
        heard.push_back(error.what());
        throw;
      }
    });
    EXPECT_LT(std::chrono::steady_clock::now() - failed_at, std::chrono::seconds(1)) << number;
    EXPECT_EQ(failure, "the disk is full") << number;
    EXPECT_EQ(heard, std::vector<std::string>(3, "rank 2 of 4 ended: the disk is full")) << number;
  }
}

TEST(Failure, IsHeardByTheNextStartToo) {
  std::atomic<bool> has_failed = false;
  const std::string failure = failure_of(2, [&](Comm& comm) {
    if (comm.rank() == 0) {
      comm.fail("on purpose");
      has_failed = true;
      return;
    }
    while (!has_failed) std::this_thread::yield();
    comm.all_gather({});
  });
  EXPECT_EQ(failure, "rank 0 of 2 ended: on purpose");
}

TEST(Failure, OfTheFirstRankIsTheOneTold) {
  const std::string failure = failure_of(8, [&](Comm& comm) {
    comm.barrier();
    if (comm.rank() == 5) throw std::runtime_error("first");
    comm.barrier();
  });
  EXPECT_EQ(failure, "first");
}

TEST(Failure, ARankThatLeavesEarlyIsNotWaitedFor) {
  const std::string failure = failure_of(3, [](Comm& comm) {
    comm.barrier();
    if (comm.rank() != 1) comm.barrier();
  });
  EXPECT_EQ(failure, "barrier 2: rank 1 has left without it");
}

TEST(Failure, ARankThatLeavesItsOperationsUnwaitedForIsToldOf) {
  const std::string failure = failure_of(2, [](Comm& comm) {
    const CommTicket ticket = comm.all_gather({});
    if (comm.rank() == 0) return;
    comm.wait(ticket);
    comm.barrier();
  });
  EXPECT_EQ(failure, "rank 0 of 2 ended: it left operations without waiting for them");
}

// A rank's buffers go when it fails; nobody may be copying from them then. The sanitizers see it
// where somebody is: many small pieces, and failures at many moments.
TEST(Failure, BuffersMayGoOnceFailHasReturned) {
  constexpr int kRounds = 300, kPieces = 400;
  for (int round = 0; round < kRounds; ++round) {
    const std::string failure = failure_of(4, [&](Comm& comm) {
      std::vector<std::vector<uint8_t>> buffers(kPieces, std::vector<uint8_t>(500));
      std::vector<CommPiece> pieces;
      for (std::vector<uint8_t>& buffer : buffers) {
        pieces.push_back({static_cast<int>(pieces.size() % 4), buffer.data(), buffer.size()});
      }
      comm.barrier();
      fail_on_throw(comm, [&] {
        const CommTicket ticket = comm.all_gather(pieces);
        if (comm.rank() == round % 4) {
          for (int i = 0; i < round / 8; ++i) std::this_thread::yield();
          throw std::runtime_error("now");
        }
        comm.wait(ticket);
      });
    });
    ASSERT_EQ(failure, "now");
  }
}

// ---- lists that do not fit ----

TEST(Mismatch, OfSizesNamesBothRanks) {
  const std::string failure = failure_of(2, [](Comm& comm) {
    std::array<uint8_t, 8> bytes = {};
    const CommPiece sent{1, bytes.data(), 8}, received{0, bytes.data(), 4};
    if (comm.rank() == 0) {
      comm.wait(comm.exchange({&sent, 1}, {}));
    } else {
      comm.wait(comm.exchange({}, {&received, 1}));
    }
  });
  EXPECT_EQ(failure,
            "exchange 1: rank 0 sends 8 bytes to rank 1, which expects 4 bytes, as piece 0 between "
            "them");
}

TEST(Mismatch, OfCountsIsNoHang) {
  std::array<uint8_t, 8> bytes = {};
  const CommPiece to1{1, bytes.data(), 8}, from0{0, bytes.data(), 8};
  EXPECT_EQ(
      failure_of(
          2,
          [&](Comm& comm) {
            comm.wait(comm.rank() == 0 ? comm.exchange({&to1, 1}, {}) : comm.exchange({}, {}));
          }),
      "exchange 1: rank 0 sends 8 bytes to rank 1, which expects nothing, as piece 0 between "
      "them");
  EXPECT_EQ(
      failure_of(
          2,
          [&](Comm& comm) {
            comm.wait(comm.rank() == 0 ? comm.exchange({}, {}) : comm.exchange({}, {&from0, 1}));
          }),
      "exchange 1: rank 0 sends nothing to rank 1, which expects 8 bytes, as piece 0 between "
      "them");
}

TEST(Mismatch, OfOperationsNamesBoth) {
  const std::string failure = failure_of(2, [](Comm& comm) {
    comm.barrier();
    comm.wait(comm.rank() == 0 ? comm.exchange({}, {}) : comm.all_gather({}));
  });
  EXPECT_TRUE(failure == "rank 0 does exchange 2 where rank 1 does all_gather 2" ||
              failure == "rank 1 does all_gather 2 where rank 0 does exchange 2")
      << failure;
}

TEST(Mismatch, OfListsThatMustBeTheSame) {
  for (const bool is_sum : {false, true}) {
    const std::string failure = failure_of(3, [&](Comm& comm) {
      std::array<float, 4> numbers = {};
      const CommPiece piece{1, numbers.data(), comm.rank() == 2 ? size_t{8} : size_t{16}};
      comm.wait(is_sum ? comm.reduce_scatter({&piece, 1}) : comm.all_gather({&piece, 1}));
    });
    const std::string name = is_sum ? "reduce_scatter" : "all_gather";
    EXPECT_EQ(failure.substr(0, name.size() + 15), name + " 1: piece 0 is ") << failure;
    EXPECT_NE(failure.find("8 bytes of rank 1 on rank 2"), std::string::npos) << failure;
    EXPECT_NE(failure.find("16 bytes of rank 1 on rank "), std::string::npos) << failure;
  }
}

TEST(Mismatch, OfARankThatDoesNotExist) {
  for (const int ranks : {1, 2}) {
    const CommPiece piece{7, nullptr, 0};
    const std::string failure = failure_of(ranks, [&](Comm& comm) {
      comm.wait(comm.rank() == 0 ? comm.all_gather({&piece, 1}) : comm.all_gather({}));
    });
    EXPECT_EQ(failure, "all_gather 1: rank 0 names rank \"7\" of " + std::to_string(ranks));
  }
}

TEST(Mismatch, OfWhatARankSendsToItself) {
  std::array<uint8_t, 8> bytes = {};
  const CommPiece sent{0, bytes.data(), 4}, received{0, bytes.data() + 4, 3};
  EXPECT_THROW(make_single_comm()->exchange({&sent, 1}, {&received, 1}), Error);
  EXPECT_THROW(make_single_comm()->exchange({&sent, 1}, {}), Error);
  EXPECT_THROW(make_thread_comms(1)[0]->exchange({}, {&received, 1}), Error);
}

TEST(Mismatch, OfBytesThatAreNoFloats) {
  std::array<uint8_t, 8> bytes = {};
  const CommPiece piece{0, bytes.data(), 7};
  EXPECT_THROW(make_single_comm()->reduce_scatter({&piece, 1}), Error);
  EXPECT_THROW(make_thread_comms(1)[0]->reduce_scatter({&piece, 1}), Error);
}

TEST(ThreadComm, OfNoRanksIsAnError) {
  EXPECT_THROW(make_thread_comms(0), Error);
  EXPECT_THROW(run_ranks(-1, [](Comm&) {}), Error);
}

// ---- threads of each rank ----

TEST(RunRanks, DividesTheThreadsAndRunsLoopsOfAllRanksAtOnce) {
  const int before = thread_count();
  set_thread_count(5);
  std::array<std::atomic<int>, 2> threads = {}, seen = {};
  run_ranks(2, [&](Comm& comm) {
    const auto rank = static_cast<size_t>(comm.rank());
    threads[rank] = thread_count();
    // Every thread of both ranks must be in a loop at the same time for this to end.
    parallel_chunks(thread_count(), [&](int64_t) {
      require(thread_index() < threads[rank] && thread_count() == threads[rank], "thread numbers");
      ++seen[rank];
      while (seen[0] + seen[1] < 5) std::this_thread::yield();
    });
  });
  EXPECT_EQ(threads[0], 3);
  EXPECT_EQ(threads[1], 2);
  EXPECT_EQ(thread_count(), 5) << "the caller has the process's threads again";
  set_thread_count(before);
}

TEST(RunRanks, GivesEachRankAThreadWhereThereAreFewer) {
  run_ranks(8, [](Comm& comm) {
    require(thread_count() >= 1 && thread_index() == 0, "a thread");
    comm.barrier();
  });
}

}  // namespace
}  // namespace pg
