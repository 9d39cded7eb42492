#include "src/data/corpus/text_codec.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "src/data/corpus/documents.h"
#include "tests/data/data_fixture.h"

namespace pg {
namespace {

int64_t sum_bytes(const TextCodec& codec, std::string_view text) {
  const std::vector<int32_t> ids = codec.encode_document(text);
  int64_t bytes = 0;
  for (size_t i = 1; i < ids.size(); ++i) {
    bytes += codec.tokenizer().byte_table().token_bytes(ids, i);
  }
  return bytes;
}

TEST(CutPlaces, LieWhereNoPieceHoldsBothSides) {
  const std::vector<Piece> pieces = {{"ab", PieceKind::kText},
                                     {"\u2581a", PieceKind::kText},
                                     {"<0x61>", PieceKind::kByte},
                                     {"\u00e9\u4e2d", PieceKind::kText}};
  const CutPlaces before(pieces, OwnSpace::kBefore);
  EXPECT_FALSE(before.is_safe("ab", 1));
  EXPECT_TRUE(before.is_safe("ba", 1));
  EXPECT_TRUE(before.is_safe("b a", 1));
  EXPECT_FALSE(before.is_safe("b a", 2));   // inside a piece
  EXPECT_FALSE(before.is_safe("b  b", 2));  // an outer space of the right part
  EXPECT_TRUE(before.is_safe("<0", 1));     // the name of a byte is no text
  EXPECT_FALSE(before.is_safe("\u00e9\u4e2d", 2));
  EXPECT_FALSE(before.is_safe("x\u4e2d", 2));  // inside a character
  EXPECT_TRUE(before.is_safe("x\u4e2d", 1));
  const CutPlaces behind(pieces, OwnSpace::kBehind);
  EXPECT_FALSE(behind.is_safe("b a", 1));
  EXPECT_TRUE(behind.is_safe("b b", 2));
}

// One training serves all tests.
class TextCodecTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<DataFolder>();
    tokenizer_ = std::make_unique<Tokenizer>(train_small_tokenizer(*folder_));
    codec_ = std::make_unique<TextCodec>(*tokenizer_);
  }
  static void TearDownTestSuite() {
    codec_.reset();
    tokenizer_.reset();
    folder_.reset();
  }
  static inline std::unique_ptr<DataFolder> folder_;
  static inline std::unique_ptr<Tokenizer> tokenizer_;
  static inline std::unique_ptr<TextCodec> codec_;
};

TEST_F(TextCodecTest, ProseComesBackFromItsIds) {
  const std::string text = make_prose(99, 20);
  const std::vector<int32_t> ids = codec_->encode(text);
  EXPECT_LT(ids.size(), text.size());
  EXPECT_EQ(codec_->decode(ids), text);
}

TEST_F(TextCodecTest, DocumentBeginsWithBosAndHasNoEos) {
  const std::vector<int32_t> ids = codec_->encode_document("the bridge");
  EXPECT_EQ(ids.front(), kBosId);
  EXPECT_EQ(std::vector<int32_t>(ids.begin() + 1, ids.end()), codec_->encode("the bridge"));
  EXPECT_EQ(codec_->encode_document(""), std::vector<int32_t>{kBosId});
}

TEST_F(TextCodecTest, TargetBytesAreTheLengthOfTheText) {
  for (const char* text : {"the small river turns", "a caf\u00e9, \U0001f600 and 12345 boats",
                           "\u4e2d\u6587 x", "unseen CAPITALS & signs #@!"}) {
    EXPECT_EQ(sum_bytes(*codec_, text), static_cast<int64_t>(std::string_view(text).size()))
        << text;
    EXPECT_EQ(codec_->decode(codec_->encode(text)), text);
  }
}

TEST_F(TextCodecTest, NormalisationShortensAndTheBytesFollowIt) {
  // nmt_nfkc: runs of space become one, outer space goes, ligatures come apart.
  const std::string text = "  the \n\n river\t\ufb01sh ";
  EXPECT_EQ(codec_->decode(codec_->encode(text)), "the river fish");
  EXPECT_EQ(sum_bytes(*codec_, text), 14);
}

TEST_F(TextCodecTest, DigitsAreSplit) {
  const size_t one = codec_->encode("the 7").size();
  EXPECT_EQ(codec_->encode("the 7777").size(), one + 3);
}

TEST_F(TextCodecTest, MovedTokenizerWorksOn) {
  Tokenizer first(*folder_ / "small.model");
  const Tokenizer second = std::move(first);
  EXPECT_EQ(TextCodec(second).encode("the river"), codec_->encode("the river"));
}

// Verse, code, tables: lines and gaps that normalisation changes are no obstacle.
TEST_F(TextCodecTest, LongTextOfShortLinesIsEncodedAsItWouldBeWhole) {
  std::string text;
  while (text.size() < 4'600'000) text += "the  old boats\n\n  and\tlanterns \n";
  const std::vector<int32_t> ids = codec_->encode(text);
  const std::string_view part = std::string_view(text).substr(0, 400'000);
  EXPECT_TRUE(codec_->encode(part) == encode_by_sentencepiece(*folder_ / "small.model", part));
  EXPECT_GT(ids.size(), text.size() / 8);
}

TEST_F(TextCodecTest, TextWithoutAPlaceToCutIsRefused) {
  std::string text;
  while (text.size() < 5'000'000) text += "aaaaaaaa";
  train_foreign_model(*folder_, "--model_type=bpe --user_defined_symbols=aa");
  const Tokenizer tokenizer(*folder_ / "foreign.model");
  const TextCodec codec(tokenizer);
  EXPECT_TRUE(says(catch_error([&] { codec.encode(text); }), "text too long for the tokenizer"));
}

// The challenge's tokenizer on real documents, where there are some (PG_SHARED_DATA).
class ChallengeTokenizer : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(model_) || !std::filesystem::exists(documents_)) {
      GTEST_SKIP() << "no \"" << model_.string() << "\" and \"" << documents_.string()
                   << "\"; name the folder that holds them in PG_SHARED_DATA";
    }
  }
  static std::filesystem::path shared_folder() {
    const char* const given = std::getenv("PG_SHARED_DATA");
    return given != nullptr ? given : PG_SHARED_DATA;
  }

  const std::filesystem::path model_ = shared_folder() / "tokenizers/fineweb_1024_bpe.model";
  const std::filesystem::path documents_ = shared_folder() / "web/dev_open.val.jsonl";
};

TEST_F(ChallengeTokenizer, ChargesEveryByteOfRealDocuments) {
  const Tokenizer tokenizer(model_);
  const TextCodec codec(tokenizer);
  DocumentReader reader(documents_);
  std::string text;
  while (reader.next(text)) {
    const std::string normalised = codec.decode(codec.encode(text));
    ASSERT_EQ(sum_bytes(codec, text), static_cast<int64_t>(normalised.size())) << text;
  }
}

TEST_F(ChallengeTokenizer, EncodesLongRealTextAsItWouldWhole) {
  const Tokenizer tokenizer(model_);
  const TextCodec codec(tokenizer);
  DocumentReader reader(shared_folder() / "web/dev_open.train.jsonl");
  std::string text, document;
  while (text.size() < 1'400'000 && reader.next(document)) text += document + "\n";
  EXPECT_TRUE(codec.encode(text) == encode_by_sentencepiece(model_, text));
}

}  // namespace
}  // namespace pg
