#include "src/data/token_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "src/data/corpus/write_shard.h"
#include "src/files/write_file.h"
#include "tests/data/data_fixture.h"

namespace pg {
namespace {

// A shard as bytes, so that tests can damage it.
Bytes make_shard_bytes(int32_t magic, int32_t version, int32_t tokens, size_t body_bytes) {
  ByteWriter writer;
  writer.u32(static_cast<uint32_t>(magic));
  writer.u32(static_cast<uint32_t>(version));
  writer.u32(static_cast<uint32_t>(tokens));
  Bytes bytes = writer.take();
  bytes.resize(static_cast<size_t>(kShardHeaderBytes) + body_bytes);
  return bytes;
}

std::string open_error(const Bytes& shard) {
  const DataFolder folder;
  write_file_atomic(folder / "bad_train_000000.bin", shard);
  const std::string error =
      catch_error([&] { TokenStream::open((folder / "bad_train_*.bin").string(), 1024); });
  EXPECT_TRUE(says(error, "bad_train_000000.bin"));
  return error;
}

TEST(TokenFile, ShardsReadBackAsOneStream) {
  const DataFolder folder;
  const std::vector<uint16_t> ids = make_ids(100, 1000);
  const std::span<const uint16_t> all = ids;
  // Written out of order, one of them empty: the stream goes by name.
  write_shard(folder / "a_train_000002.bin", all.subspan(41));
  write_shard(folder / "a_train_000001.bin", {});
  write_shard(folder / "a_train_000000.bin", all.first(41));
  const TokenStream stream = TokenStream::open((folder / "a_train_*.bin").string(), 1000);
  ASSERT_EQ(stream.size(), 100);
  EXPECT_EQ(stream.paths().size(), 3u);
  for (int64_t begin = 0; begin <= 100; ++begin) {
    std::vector<int32_t> read(static_cast<size_t>(100 - begin));
    stream.read(begin, read);
    EXPECT_TRUE(std::equal(read.begin(), read.end(), ids.begin() + begin)) << "from " << begin;
  }
}

TEST(ShardFormat, AppendedShardsAreTheStream) {
  const DataFolder folder;
  const std::vector<uint16_t> ids = make_ids(100, 65536);
  write_shard(folder / "a.bin", std::span(ids).first(41));
  write_shard(folder / "empty.bin", {});
  write_shard(folder / "b.bin", std::span(ids).subspan(41));
  std::vector<int32_t> read;
  for (const char* name : {"a.bin", "empty.bin", "b.bin"}) append_shard(folder / name, read);
  EXPECT_TRUE(std::equal(read.begin(), read.end(), ids.begin(), ids.end()));
}

TEST(ShardFormat, DamagedShardsSayWhatIsWrong) {
  const DataFolder folder;
  const auto error_of = [&](const Bytes& shard) {
    write_file_atomic(folder / "bad.bin", shard);
    std::vector<int32_t> ids;
    return catch_error([&] { append_shard(folder / "bad.bin", ids); });
  };
  EXPECT_TRUE(says(error_of({}), "bad.bin"));
  EXPECT_TRUE(says(error_of(Bytes(500)), "has 500 bytes, its header alone takes 1024"));
  EXPECT_TRUE(says(error_of(make_shard_bytes(kShardMagic, 1, 10, 18)), "is cut short"));
  EXPECT_TRUE(says(error_of(make_shard_bytes(kShardMagic, 1, 10, 21)), "trailing bytes"));
  std::vector<int32_t> ids;
  EXPECT_TRUE(says(catch_error([&] { append_shard(folder / "none.bin", ids); }), "none.bin"));
}

TEST(TokenFile, HeaderIsTheChallengesFormat) {
  const DataFolder folder;
  write_shard(folder / "x.bin", std::vector<uint16_t>{1, 515});
  const Bytes bytes = read_file(folder / "x.bin");
  ASSERT_EQ(bytes.size(), 1028u);
  const Bytes start = {0x88, 0xd8, 0x34, 0x01, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_TRUE(std::equal(start.begin(), start.end(), bytes.begin()));
  EXPECT_EQ(Bytes(bytes.end() - 4, bytes.end()), (Bytes{1, 0, 3, 2}));
}

TEST(TokenFile, FingerprintSeesEveryTokenAndTheirOrder) {
  const DataFolder folder;
  const auto fingerprint_of = [&](const std::vector<uint16_t>& ids) {
    write_shard(folder / "f.bin", ids);
    return TokenStream::open((folder / "f.bin").string(), 1024).fingerprint();
  };
  const std::vector<uint16_t> ids = make_ids(40, 1024);  // a block of the hash and a tail
  const uint64_t original = fingerprint_of(ids);
  EXPECT_EQ(fingerprint_of(ids), original);
  for (size_t i = 0; i < ids.size(); ++i) {
    std::vector<uint16_t> changed = ids;
    changed[i] ^= 1;
    EXPECT_NE(fingerprint_of(changed), original) << "token " << i;
  }
  std::vector<uint16_t> swapped = ids;
  std::swap(swapped[0], swapped[32]);  // the same lane of the hash
  EXPECT_NE(fingerprint_of(swapped), original);
  std::vector<uint16_t> longer = ids;
  longer.push_back(0);  // padding inside the hash must not hide it
  EXPECT_NE(fingerprint_of(longer), original);
}

// The number of an independent implementation of token_file.cpp.
TEST(TokenFile, FingerprintIsTheSameOnEveryMachine) {
  const DataFolder folder;
  write_shard(folder / "f.bin", make_ids(1000, 1024));
  EXPECT_EQ(TokenStream::open((folder / "f.bin").string(), 1024).fingerprint(),
            0xc659e793678ffd98u);
}

TEST(TokenFile, MissingShardsNameTheGlob) {
  EXPECT_TRUE(says(catch_error([] { TokenStream::open("/nowhere/x_*.bin", 1024); }),
                   "no token shard matches: \"/nowhere/x_*.bin\""));
}

TEST(TokenFile, FolderInPlaceOfShardIsAnError) {
  const DataFolder folder;
  EXPECT_TRUE(says(catch_error([&] { TokenStream::open(folder.path().string(), 1024); }),
                   "not a token shard file"));
}

TEST(TokenFile, DamagedShardsSayWhatIsWrong) {
  EXPECT_TRUE(says(open_error({}), "has 0 bytes"));
  EXPECT_TRUE(says(open_error(Bytes(500)), "has 500 bytes, its header alone takes 1024"));
  EXPECT_TRUE(says(open_error(make_shard_bytes(kShardMagic, 1, 10, 18)), "is cut short"));
  EXPECT_TRUE(says(open_error(make_shard_bytes(kShardMagic, 1, 10, 21)), "trailing bytes"));
  EXPECT_TRUE(
      says(open_error(make_shard_bytes(20240521, 1, 10, 20)), "\"20240521\", not the magic"));
  EXPECT_TRUE(says(open_error(make_shard_bytes(kShardMagic, 2, 10, 20)), "version is \"2\""));
  EXPECT_TRUE(says(open_error(make_shard_bytes(kShardMagic, 1, -1, 20)), "token count is \"-1\""));
}

TEST(TokenFile, IdsBeyondTheVocabularyAreRefusedWhereverTheyStand) {
  const DataFolder folder;
  for (const size_t at : {0u, 31u, 32u, 98u}) {
    std::vector<uint16_t> ids = make_ids(99, 100);
    ids[at] = 300;
    write_shard(folder / "v.bin", ids);
    EXPECT_TRUE(says(catch_error([&] { TokenStream::open((folder / "v.bin").string(), 300); }),
                     "has id 300, the vocabulary has 300 ids"));
    EXPECT_EQ(catch_error([&] { TokenStream::open((folder / "v.bin").string(), 301); }), "");
  }
}

// What a mapped file would have answered with SIGBUS.
TEST(TokenFile, ShardThatIsCutShortInUseIsAnError) {
  const DataFolder folder;
  write_shard(folder / "s.bin", make_ids(100'000, 1000));
  const TokenStream stream = TokenStream::open((folder / "s.bin").string(), 1000);
  std::filesystem::resize_file(folder / "s.bin", 100'000);
  std::vector<int32_t> ids(1000);
  stream.read(0, ids);
  EXPECT_TRUE(says(catch_error([&] { stream.read(90'000, ids); }),
                   "token shard has become shorter while it was in use: \""));
}

TEST(TokenFile, ShardThatIsRemovedInUseIsReadOn) {
  const DataFolder folder;
  write_shard(folder / "s.bin", make_ids(1000, 1000));
  const TokenStream stream = TokenStream::open((folder / "s.bin").string(), 1000);
  std::filesystem::remove(folder / "s.bin");
  std::vector<int32_t> ids(1);
  stream.read(999, ids);
  EXPECT_EQ(ids[0], 999);
}

TEST(TokenFile, LongReadsGoThroughTheBuffer) {
  const DataFolder folder;
  const std::vector<uint16_t> ids = make_ids(100'003, 60'000);
  write_shard(folder / "l_0.bin", std::span(ids).first(50'001));
  write_shard(folder / "l_1.bin", std::span(ids).subspan(50'001));
  const TokenStream stream = TokenStream::open((folder / "l_*.bin").string(), 60'000);
  std::vector<int32_t> read(100'001);
  stream.read(2, read);
  EXPECT_TRUE(std::equal(read.begin(), read.end(), ids.begin() + 2));
}

TEST(TokenFile, ManyShardsMayBeOpenAtOnce) {
  const DataFolder folder;
  struct rlimit limit = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const struct rlimit low = {32, limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  for (int i = 0; i < 50; ++i) {
    write_shard(folder / ("m_" + std::to_string(100 + i) + ".bin"), make_ids(10, 10));
  }
  EXPECT_EQ(TokenStream::open((folder / "m_*.bin").string(), 10).size(), 500);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

TEST(TokenFile, ExistingPathWinsOverAPattern) {
  const DataFolder folder;
  write_shard(folder / "x[1]/a_000000.bin", make_ids(1, 10));
  write_shard(folder / "x[1]/a_000001.bin", make_ids(2, 10));
  write_shard(folder / "x[1]/b[0-9].bin", make_ids(4, 10));
  write_shard(folder / "x1/a_000000.bin", make_ids(8, 10));
  write_shard(folder / "y1/a_000000.bin", make_ids(16, 10));
  const auto size_of = [&](std::string_view shards) {
    return TokenStream::open((folder / shards).string(), 10).size();
  };
  EXPECT_EQ(size_of("x[1]/a_000000.bin"), 1);
  EXPECT_EQ(size_of("x[1]/a_*.bin"), 3);
  EXPECT_EQ(size_of("x[1]/b[0-9].bin"), 4);
  EXPECT_EQ(size_of("y[1]/a_*.bin"), 16);
}

TEST(TokenFile, PipeInPlaceOfShardIsAnError) {
  const DataFolder folder;
  ASSERT_EQ(::mkfifo((folder / "p.bin").c_str(), 0600), 0);
  EXPECT_TRUE(says(catch_error([&] { TokenStream::open((folder / "p.bin").string(), 1024); }),
                   "not a token shard file"));
}

TEST(TokenFile, FingerprintOfAShardIsThatOfItsIds) {
  const DataFolder folder;
  const std::vector<uint16_t> ids = make_ids((int64_t{1} << 20) + 777, 1000);
  write_shard(folder / "f_0.bin", make_ids(5, 1000));
  write_shard(folder / "f_1.bin", ids);
  const TokenStream stream = TokenStream::open((folder / "f_*.bin").string(), 1000);
  EXPECT_EQ(stream.shard_fingerprint(1), fingerprint_shard(ids));
  EXPECT_NE(stream.shard_fingerprint(0), stream.shard_fingerprint(1));
}

TEST(TokenFile, StreamMovesWithItsFiles) {
  const DataFolder folder;
  write_shard(folder / "m.bin", make_ids(10, 100));
  TokenStream first = TokenStream::open((folder / "m.bin").string(), 100);
  TokenStream second = std::move(first);
  std::vector<int32_t> read(10);
  second.read(0, read);
  EXPECT_EQ(read[9], 9);
}

}  // namespace
}  // namespace pg
