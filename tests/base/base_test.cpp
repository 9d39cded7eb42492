// The foundations: bf16 rounding, hashes by published vectors, atomic files, hostile byte readers,
// random numbers.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <optional>
#include <thread>

#include "kernels/bf16.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/hash.h"
#include "src/base/result.h"
#include "src/base/rng.h"
#include "src/base/simd_math.h"
#include "src/base/threads.h"
#include "src/files/write_file.h"

namespace pg {
namespace {

TEST(Bf16, RoundsToNearestEven) {
  EXPECT_EQ(bf16(1.0f).bits, 0x3f80);
  EXPECT_EQ(bf16(std::bit_cast<float>(0x3f808000u)).bits, 0x3f80);  // tie to even, down
  EXPECT_EQ(bf16(std::bit_cast<float>(0x3f818000u)).bits, 0x3f82);  // tie to even, up
  EXPECT_EQ(bf16(std::bit_cast<float>(0x3f808001u)).bits, 0x3f81);
  EXPECT_EQ(bf16(INFINITY).bits, 0x7f80);
  EXPECT_EQ(bf16(3.4e38f).bits, 0x7f80);  // beyond the largest bf16
  EXPECT_TRUE(std::isnan(static_cast<float>(bf16(std::bit_cast<float>(0x7f800001u)))));
}

TEST(Bf16, EveryCodeSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    bf16 code;
    code.bits = static_cast<uint16_t>(bits);
    const float value = static_cast<float>(code);
    if (std::isnan(value)) continue;
    ASSERT_EQ(bf16(value).bits, bits);
  }
}

// FIPS 180-4 and NIST examples.
TEST(Hash, Sha256MatchesPublishedVectors) {
  EXPECT_EQ(hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex(sha256(as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hex(sha256(Bytes(1000000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(SimdMath, ExpAndTanhAreAccurate) {
  for (double x = -86; x < 87; x += 0.0137) {
    const double want = std::exp(x);
    ASSERT_NEAR(exp_simd(static_cast<float>(x)),
                std::exp(static_cast<double>(static_cast<float>(x))), 3e-7 * want)
        << x;
  }
  for (double x = -20; x < 20; x += 0.0031) {
    ASSERT_NEAR(tanh_simd(static_cast<float>(x)),
                std::tanh(static_cast<double>(static_cast<float>(x))), 3e-7)
        << x;
  }
  EXPECT_EQ(exp_simd(-200.0f), 0.0f);
  EXPECT_EQ(exp_simd(-INFINITY), 0.0f);
  EXPECT_EQ(exp_simd(0.0f), 1.0f);
  EXPECT_EQ(exp_simd(1e30f), exp_simd(89.0f));
  EXPECT_EQ(exp_simd(INFINITY), exp_simd(89.0f));
  EXPECT_EQ(tanh_simd(INFINITY), 1.0f);
  EXPECT_EQ(tanh_simd(-50.0f), -1.0f);
}

TEST(Rng, IsTheSameForEver) {
  const CounterRng rng(1337, kStreamDataOrder);
  EXPECT_EQ(rng.bits(0), CounterRng(1337, kStreamDataOrder).bits(0));
  EXPECT_NE(rng.bits(0), rng.bits(1));
  EXPECT_NE(rng.bits(0), CounterRng(1338, kStreamDataOrder).bits(0));
  EXPECT_NE(rng.bits(0), CounterRng(1337, kStreamSampling).bits(0));
  EXPECT_EQ(mix64(0), 0xe220a8397b1dcdafull);  // SplitMix64's first output for seed 0
}

TEST(Rng, NormalsHaveUnitVariance) {
  const CounterRng rng(5, kStreamTest);
  double sum = 0, squares = 0;
  constexpr int kDraws = 200000;
  for (int i = 0; i < kDraws; ++i) {
    const double x = rng.normal(static_cast<uint64_t>(i));
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / kDraws, 0, 4 / std::sqrt(kDraws));  // four standard errors
  EXPECT_NEAR(squares / kDraws, 1, 4 * std::sqrt(2.0 / kDraws));
}

TEST(Threads, EveryChunkRunsOnce) {
  std::vector<int> hits(1000);
  parallel_ranges(1000, 7, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) ++hits[static_cast<size_t>(i)];
  });
  for (const int n : hits) EXPECT_EQ(n, 1);
}

// Many short loops of changing size on more threads than cores: a claim that went to the wrong loop
// would show as a chunk run twice or never.
TEST(Threads, LoopsNeverMixTheirChunks) {
  const int before = thread_count();
  set_thread_count(4);
  for (int64_t loop = 0; loop < 20000; ++loop) {
    const int64_t chunks = 1 + loop % 7;
    int hits[8] = {};
    parallel_chunks(chunks, [&](int64_t chunk) { hits[chunk] += static_cast<int>(1 + loop % 3); });
    for (int64_t i = 0; i < 8; ++i) {
      ASSERT_EQ(hits[i], i < chunks ? 1 + loop % 3 : 0) << "loop " << loop << " chunk " << i;
    }
  }
  set_thread_count(before);
}

TEST(Threads, NestedLoopsRunSerially) {
  std::vector<int> hits(64);
  parallel_chunks(8, [&](int64_t outer) {
    const int index = thread_index();
    parallel_chunks(8, [&](int64_t inner) {
      ++hits[static_cast<size_t>(8 * outer + inner)];
      EXPECT_EQ(thread_index(), index);
    });
  });
  for (const int n : hits) EXPECT_EQ(n, 1);
}

TEST(Threads, WhatABodyThrowsReachesTheCallerAndLoopsGoOn) {
  const int before = thread_count();
  set_thread_count(4);
  for (int64_t loop = 0; loop < 200; ++loop) {
    const auto fail_at = [&](int64_t chunk) {
      if (chunk % 5 == loop % 5) throw Error("chunk");
    };
    EXPECT_THROW(parallel_chunks(100, fail_at), Error);
    std::vector<int> hits(100);
    parallel_chunks(100, [&](int64_t chunk) { ++hits[static_cast<size_t>(chunk)]; });
    for (const int n : hits) ASSERT_EQ(n, 1);
  }
  set_thread_count(before);
}

TEST(Threads, OwnThreadsAreThisThreadsAlone) {
  const int before = thread_count();
  {
    const OwnThreads three(3);
    EXPECT_EQ(thread_count(), 3);
    int others = 0;
    std::thread([&] { others = thread_count(); }).join();
    EXPECT_EQ(others, before);
    {
      const OwnThreads two(2);
      std::atomic<int> in_loop = 0;
      parallel_chunks(2, [&](int64_t) {  // ends only when both are in it
        EXPECT_EQ(thread_count(), 2);
        EXPECT_LT(thread_index(), 2);
        ++in_loop;
        while (in_loop < 2) std::this_thread::yield();
      });
      set_thread_count(4);
      EXPECT_EQ(thread_count(), 4);
    }
    EXPECT_EQ(thread_count(), 3);
  }
  EXPECT_EQ(thread_count(), before);
}

// With the process's threads alone, the second thread's loop would be serial and never end.
TEST(Threads, LoopsOfTwoThreadsWithTheirOwnRunAtOnce) {
  std::atomic<int> in_loop = 0;
  const auto run_loop = [&] {
    const OwnThreads two(2);
    parallel_chunks(2, [&](int64_t) {
      ++in_loop;
      while (in_loop < 4) std::this_thread::yield();
    });
  };
  std::thread other(run_loop);
  run_loop();
  other.join();
  EXPECT_EQ(in_loop, 4);
}

class FileTest : public testing::Test {
 protected:
  FileTest()
      : folder_(std::filesystem::path(testing::TempDir()) /
                ("pg_file_test_" + std::to_string(getpid()))) {
    std::filesystem::remove_all(folder_);
  }
  ~FileTest() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

TEST_F(FileTest, WritesWholeFilesAndCreatesFolders) {
  write_file_atomic(folder_ / "a" / "b.txt", "hello");
  EXPECT_EQ(read_text_file(folder_ / "a" / "b.txt"), "hello");
  write_file_atomic(folder_ / "a" / "b.txt", "again");
  EXPECT_EQ(read_text_file(folder_ / "a" / "b.txt"), "again");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_ / "a"), {}), 1);
}

// A file-size limit stands in for a full disk: write(2) fails half way in the same manner.
TEST_F(FileTest, AFullDiskKeepsTheOldFile) {
  write_file_atomic(folder_ / "state.bin", "the good old state");
  rlimit old = {};
  getrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {4096, old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_THROW(write_file_atomic(folder_ / "state.bin", std::string(100000, 'x')), Error);
  setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_EQ(read_text_file(folder_ / "state.bin"), "the good old state");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

// The path is right: to check it would be the wrong advice.
TEST_F(FileTest, TooManyOpenFilesAreNoMatterOfThePath) {
  write_file_atomic(folder_ / "there", "text");
  rlimit old = {};
  getrlimit(RLIMIT_NOFILE, &old);
  const rlimit none = {3, old.rlim_max};
  std::optional<Error>
      caught;  // asked afterwards: a checked build needs a descriptor for a virtual call
  setrlimit(RLIMIT_NOFILE, &none);
  try {
    read_file(folder_ / "there");
  } catch (const Error& error) {
    caught = error;
  }
  setrlimit(RLIMIT_NOFILE, &old);
  ASSERT_TRUE(caught);
  const std::string message = caught->what();
  EXPECT_NE(message.find("ulimit -n"), std::string::npos) << message;
  EXPECT_EQ(message.find("check the path"), std::string::npos) << message;
}

TEST_F(FileTest, MissingAndOversizedFilesAreErrors) {
  EXPECT_THROW(read_file(folder_ / "none"), Error);
  EXPECT_THROW(read_file(std::filesystem::temp_directory_path()), Error);
  write_file_atomic(folder_ / "big", "0123456789");
  EXPECT_THROW(read_file(folder_ / "big", 9), Error);
}

TEST(ByteReader, ReadsWhatTheWriterWrote) {
  ByteWriter out;
  out.u8(7);
  out.u16(0x1234);
  out.u32(0xdeadbeef);
  out.u64(0x0123456789abcdefull);
  out.f32(-1.5f);
  out.f64(2.25);
  out.string("text");
  const Bytes bytes = out.take();
  EXPECT_EQ(bytes[1], 0x34);  // little endian
  ByteReader in(bytes);
  EXPECT_EQ(in.u8(), 7);
  EXPECT_EQ(in.u16(), 0x1234);
  EXPECT_EQ(in.u32(), 0xdeadbeef);
  EXPECT_EQ(in.u64(), 0x0123456789abcdefull);
  EXPECT_EQ(in.f32(), -1.5f);
  EXPECT_EQ(in.f64(), 2.25);
  EXPECT_EQ(in.string(100), "text");
  EXPECT_TRUE(in.ok());
  EXPECT_EQ(in.remaining(), 0u);
}

TEST(ByteReader, FailsForGoodAfterTheEnd) {
  const Bytes bytes = {1, 2, 3};
  ByteReader in(bytes);
  EXPECT_EQ(in.u16(), 0x0201);
  EXPECT_EQ(in.u32(), 0u);
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(in.u8(), 0);
  const Bytes hostile = {255, 255, 255, 255, 0};
  ByteReader long_string(hostile);
  long_string.string(1000);
  EXPECT_FALSE(long_string.ok());
}

}  // namespace
}  // namespace pg
