#include "src/data/tokenizer.h"

#include <gtest/gtest.h>

#include <array>
#include <fstream>

#include "src/base/bytes.h"
#include "src/data/corpus/tokenizer_training.h"
#include "tests/data/data_fixture.h"

namespace pg {
namespace {

const std::vector<Piece> kPieces = {
    {"<s>", PieceKind::kOther},           // 0 boundary, no bytes
    {"<0x41>", PieceKind::kByte},         // 1 one byte
    {"the", PieceKind::kText},            // 2 three
    {"\u2581the", PieceKind::kText},      // 3 three, and one for the space
    {"\u2581", PieceKind::kText},         // 4 the space alone
    {"\u00e9", PieceKind::kText},         // 5 two bytes of UTF-8
    {"a\u2581b", PieceKind::kText},       // 6 a space inside
    {"\u2581\u2581", PieceKind::kText},   // 7 two spaces
    {"the\u2581", PieceKind::kText},      // 8 a space behind
    {"\u2581a\u2581", PieceKind::kText},  // 9 one at both ends
};

int64_t pair_bytes(const ByteTable& table, int32_t previous, int32_t token) {
  return table.token_bytes(std::array{previous, token}, 1);
}

TEST(ByteTable, FollowsTheChallengesRule) {
  const ByteTable table = make_byte_table(kPieces);
  EXPECT_EQ(table.bytes, (std::vector<uint16_t>{0, 1, 3, 3, 0, 2, 3, 1, 4, 2}));
  EXPECT_EQ(table.leading_space, (std::vector<uint8_t>{0, 0, 0, 1, 1, 0, 0, 1, 0, 1}));
  EXPECT_EQ(table.boundary, (std::vector<uint8_t>{1, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_TRUE(table.trailing_space.empty());
  EXPECT_EQ(pair_bytes(table, 2, 3), 4);  // "the the": the space counts
  EXPECT_EQ(pair_bytes(table, 0, 3), 3);  // free after a boundary
  EXPECT_EQ(pair_bytes(table, 2, 0), 0);  // BOS costs nothing
}

TEST(ByteTable, SpaceBehindTheLastWordIsFree) {
  const ByteTable table = make_byte_table(kPieces, OwnSpace::kBehind);
  EXPECT_EQ(table.bytes, (std::vector<uint16_t>{0, 1, 3, 4, 0, 2, 3, 1, 3, 2}));
  EXPECT_EQ(table.leading_space, std::vector<uint8_t>(10));
  EXPECT_EQ(table.trailing_space, (std::vector<uint8_t>{0, 0, 0, 0, 1, 0, 0, 1, 1, 1}));
  EXPECT_EQ(pair_bytes(table, 0, 8), 3);  // what stands behind it pays for its space
  EXPECT_EQ(pair_bytes(table, 8, 8), 4);
  EXPECT_EQ(pair_bytes(table, 8, 0), 0);  // the document ends: nobody does
}

TEST(ByteTable, NoSpaceIsFreeWhereNoneIsAdded) {
  const ByteTable table = make_byte_table(kPieces, OwnSpace::kNowhere);
  EXPECT_EQ(table.bytes, (std::vector<uint16_t>{0, 1, 3, 4, 1, 2, 3, 2, 4, 3}));
  EXPECT_EQ(pair_bytes(table, 0, 3), 4);
}

TEST(ByteTable, ARunOfEscapesThatIsNoTextIsRefused) {
  ByteTable table = make_byte_table(kPieces);
  table.operators = {4, 5, 6, 7};  // 7 escapes
  std::vector<int32_t> ids(4097, 7);
  EXPECT_TRUE(table.is_literal_operator(ids, 4095));
  EXPECT_FALSE(table.is_literal_operator(ids, 4096));
  ids.push_back(7);
  EXPECT_THROW(table.is_literal_operator(ids, 4097), Error);
}

TEST(ByteTable, SpaceMustBeAPieceOfItsOwn) {
  const std::vector<Piece> without = {{"<s>", PieceKind::kOther}, {"\u2581a", PieceKind::kText}};
  const std::vector<Piece> control = {{"\u2581", PieceKind::kOther}};
  const std::vector<Piece> with = {{"\u2581a", PieceKind::kText}, {"\u2581", PieceKind::kText}};
  EXPECT_FALSE(has_space_piece(without));
  EXPECT_FALSE(has_space_piece(control));
  EXPECT_TRUE(has_space_piece(with));
}

// One training serves all tests that only read.
class TokenizerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<DataFolder>();
    tokenizer_ = std::make_unique<Tokenizer>(train_small_tokenizer(*folder_));
  }
  static void TearDownTestSuite() {
    tokenizer_.reset();
    folder_.reset();
  }
  static inline std::unique_ptr<DataFolder> folder_;
  static inline std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(TokenizerTest, SameCorpusGivesTheSameModel) {
  const std::filesystem::path again = *folder_ / "again.model";
  train_tokenizer(*folder_ / "tokenizer_corpus.jsonl", 300, again);
  EXPECT_EQ(read_file(again), read_file(*folder_ / "small.model"));
  EXPECT_EQ(Tokenizer(again).sha256(), tokenizer_->sha256());
}

TEST_F(TokenizerTest, SmallCorpusGivesASmallerVocabulary) {
  const std::filesystem::path corpus = folder_->write("tiny.txt", "a tiny text. a tiny text.");
  train_tokenizer(corpus, 4096, *folder_ / "tiny.model");
  const int64_t vocab_size = Tokenizer(*folder_ / "tiny.model").vocab_size();
  EXPECT_GT(vocab_size, 260);
  EXPECT_LT(vocab_size, 300);
}

TEST_F(TokenizerTest, LongLinesTakePartInTraining) {
  const std::filesystem::path corpus = folder_->write("long.txt", make_prose(7, 2000));
  train_tokenizer(corpus, 300, *folder_ / "long.model");
  EXPECT_EQ(Tokenizer(*folder_ / "long.model").vocab_size(), 300);
}

TEST_F(TokenizerTest, FailedTrainingLeavesNoModel) {
  const std::filesystem::path model = *folder_ / "failed.model";
  const std::filesystem::path corpus = *folder_ / "tokenizer_corpus.jsonl";
  EXPECT_TRUE(says(catch_error([&] { train_tokenizer(corpus, 100, model); }),
                   "vocabulary size out of range: \"100\"; give 261 to 65536"));
  EXPECT_TRUE(says(catch_error([&] { train_tokenizer(corpus, 262, model); }),
                   "cannot train a tokenizer with vocabulary size \"262\""));
  EXPECT_TRUE(
      says(catch_error([&] { train_tokenizer(folder_->write("e.txt", " \n"), 300, model); }),
           "no prose"));
  EXPECT_TRUE(says(
      catch_error([&] { train_tokenizer(folder_->write("w.txt", "onewordonly"), 300, model); }),
      "no spaces"));
  const std::filesystem::path broken =
      folder_->write("b.jsonl", make_jsonl(1, 3) + "{\"text\": \n");
  EXPECT_TRUE(says(catch_error([&] { train_tokenizer(broken, 300, model); }), "line 4"));
  EXPECT_FALSE(std::filesystem::exists(model));
}

TEST_F(TokenizerTest, FewerPiecesThanAskedForAreSaid) {
  const std::filesystem::path corpus = folder_->write("few.txt", "a tiny text. a tiny text.");
  const std::vector<std::string> notes =
      train_tokenizer(corpus, 4096, *folder_ / "few.model").notes;
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_TRUE(says(notes[0], "fewer pieces than the 4096 asked for"));
  EXPECT_TRUE(train_tokenizer(*folder_ / "tokenizer_corpus.jsonl", 300, *folder_ / "few.model")
                  .notes.empty());
}

TEST_F(TokenizerTest, OtherFilesAreRefused) {
  EXPECT_TRUE(says(catch_error([] { Tokenizer("/nowhere/t.model"); }), "/nowhere/t.model"));
  for (const char* text : {"", "not a model"}) {
    EXPECT_TRUE(says(catch_error([&] { Tokenizer(folder_->write("bad.model", text)); }),
                     "no SentencePiece model"));
  }
}

}  // namespace
}  // namespace pg
