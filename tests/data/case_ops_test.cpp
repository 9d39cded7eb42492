#include "src/data/corpus/case_ops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

#include "src/base/rng.h"
#include "src/data/corpus/documents.h"
#include "src/data/corpus/encoded_documents.h"
#include "src/data/corpus/text_codec.h"
#include "src/data/corpus/tokenizer_training.h"
#include "tests/data/data_fixture.h"

namespace pg {
namespace {

// "^" for TITLE, "*" for ALLCAPS, "+" for CAPNEXT, "\" for ESC.
std::string with_operators(std::string_view sketch) {
  std::string text;
  for (const char c : sketch) {
    const size_t at = std::string_view("^*+\\").find(c);
    if (at == std::string_view::npos) {
      text += c;
    } else {
      text += kCaseOperators[at];
    }
  }
  return text;
}

TEST(CaseOps, WritesWhatThePublishedTransformWrites) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"", ""},
      {"the river", "the river"},
      {"The River", "^the ^river"},
      {"A I", "^a ^i"},
      {"OK NASA!", "*ok *nasa!"},
      {"iPhone", "i+phone"},
      {"McDonald", "^mc+donald"},
      {"PhDs", "^ph+ds"},
      {"HTMLPage", "^h+t+m+l+page"},
      {"x86ABI2B", "x86*abi2^b"},
      {"don'T", "don'^t"},
      {"\u00c9A \u00e9B", "\u00c9^a \u00e9^b"},  // letters beyond ASCII part words and stay
  };
  for (const auto& [text, sketch] : cases) {
    EXPECT_EQ(apply_case_ops(text), with_operators(sketch)) << text;
  }
}

TEST(CaseOps, LiteralOperatorsAreEscaped) {
  EXPECT_EQ(apply_case_ops("\ue001Foo\ue004\ue004BAR"), with_operators("\\^^foo\\\\\\\\*bar"));
  EXPECT_EQ(apply_case_ops("\ue000\ue005"), "\ue000\ue005");  // none
  EXPECT_EQ(restore_case(with_operators("\\^^foo\\\\\\\\*bar")), "\ue001Foo\ue004\ue004BAR");
}

// Words in all cases, digits, characters of all lengths, operators; whole and broken UTF-8.
std::string make_text(uint64_t seed) {
  constexpr std::array<const char*, 16> kParts = {
      "a",      "B",      "z",      "Q",      " ",          "7",        "\ue001", "\ue002",
      "\ue003", "\ue004", "\u00e9", "\u4e2d", "\U0001f600", "\xee\x80", "\xee",   "\x81"};
  const CounterRng rng(seed, kStreamTest);
  std::string text;
  const uint64_t parts = 1 + seed % 40;
  for (uint64_t i = 0; i < parts; ++i) {
    text += kParts[rng.below(i, seed % 3 == 0 ? 13 : kParts.size())];
  }
  return text;
}

TEST(CaseOps, EveryTextComesBack) {
  for (uint64_t seed = 0; seed < 20'000; ++seed) {
    const std::string text = make_text(seed);
    const std::string coded = apply_case_ops(text);
    const Result<std::string> back = undo_case_ops(coded);
    ASSERT_TRUE(back.ok()) << seed << back.error();
    ASSERT_EQ(back.value(), text) << seed;
    ASSERT_EQ(restore_case(coded), text) << seed;
    ASSERT_EQ(std::ranges::count_if(coded, [](char c) { return c >= 'A' && c <= 'Z'; }), 0);
  }
}

// Of all texts, written by the transform or not: what is restored strictly is written so again, so
// the two are bijections of all texts and all that the transform writes.
TEST(CaseOps, OnlyWhatTheTransformWritesIsUndone) {
  int64_t undone = 0;
  for (uint64_t seed = 0; seed < 20'000; ++seed) {
    const std::string coded = make_text(seed);
    const Result<std::string> text = undo_case_ops(coded);
    if (!text.ok()) continue;
    ++undone;
    ASSERT_EQ(apply_case_ops(text.value()), coded) << seed;
  }
  EXPECT_GT(undone, 500);
  EXPECT_LT(undone, 10'000);
}

TEST(CaseOps, OperatorsOutOfPlaceAreNamed) {
  for (const char* sketch : {"^", "a*", "*a", "a^b", "+ab", "^^a", "^ a", "*ab+c", "^a+b", "\\",
                             "\\a", "^\\^a", "*abC", "Foo", "\\\\\\"}) {
    const Result<std::string> text = undo_case_ops(with_operators(sketch));
    ASSERT_FALSE(text.ok()) << sketch;
    EXPECT_TRUE(says(text.error(), "case operators out of place at byte")) << sketch;
  }
  EXPECT_TRUE(says(undo_case_ops(with_operators("a ^b ^")).error(), "at byte 7 of 10"));
}

TEST(CaseOps, OperatorsOutOfPlaceAreDroppedWhereAnyTextMustBeShown) {
  EXPECT_EQ(restore_case(with_operators("^")), "");
  EXPECT_EQ(restore_case(with_operators("^7a")), "7a");
  EXPECT_EQ(restore_case(with_operators("a^b*c")), "aBC");
  EXPECT_EQ(restore_case(with_operators("\\a\\")), "a");
  EXPECT_EQ(restore_case(with_operators("*ab\u00e9cd")), "AB\u00e9cd");
}

TEST(CaseOps, RestoresTextThatComesInPartsCutAnywhere) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const std::string coded = make_text(seed);
    const std::string whole = restore_case(coded);
    for (size_t cut = 0; cut <= coded.size(); ++cut) {
      CaseRestorer restorer;
      std::string text;
      restorer.add(std::string_view(coded).substr(0, cut), text);
      ASSERT_TRUE(whole.starts_with(text)) << "what is out is certain";
      restorer.add(std::string_view(coded).substr(cut), text);
      restorer.finish(text);
      ASSERT_EQ(text, whole) << seed << " cut at " << cut;
    }
  }
}

class CaseOpsTokenizer : public testing::Test {
 protected:
  static Tokenizer train(const DataFolder& folder, const TokenizerForm& form) {
    std::string lines;
    for (uint64_t i = 0; i < 100; ++i) {
      lines += "{\"text\": \"The " + make_prose(7000 + i, 4) + " NASA and iPhone\"}\n";
    }
    train_tokenizer(folder.write("case.jsonl", lines), 400, folder / "case.model", form);
    return Tokenizer(folder / "case.model");
  }
  const DataFolder folder_;
};

const std::vector<std::string>& texts() {
  static const std::vector<std::string> kTexts = {
      "The small RIVER turns. iPhone",
      "",
      " A  caf\u00e9,\n\nTWO lines\tand \u0130 \u00c9cole 12345 ",
      "\ue001Literal \ue004\ue004\ue002 \ue004operators\ue003",
      "\U0001f600 unseen SIGNS #@!",
  };
  return kTexts;
}

TEST_F(CaseOpsTokenizer, HasTheOperatorsBehindTheSpecialIds) {
  const Tokenizer tokenizer = train(folder_, {.has_case_ops = true});
  EXPECT_TRUE(tokenizer.has_case_ops());
  EXPECT_EQ(tokenizer.byte_table().operators, (std::vector<int32_t>{4, 5, 6, 7}));
  EXPECT_FALSE(train(folder_, {}).has_case_ops());
  const std::vector<int32_t> ids = TextCodec(tokenizer).encode("THE");
  EXPECT_EQ(ids.front(), 5);
}

TEST_F(CaseOpsTokenizer, TokensOfALosslessOneGiveEveryByteBack) {
  const Tokenizer tokenizer = train(folder_, {.has_case_ops = true, .is_lossless = true});
  const TextCodec codec(tokenizer);
  for (const std::string& text : texts()) {
    const std::vector<int32_t> ids = codec.encode_document(text);
    EXPECT_EQ(codec.decode(std::span(ids).subspan(1)), text);
    int64_t bytes = 0;
    for (size_t i = 1; i < ids.size(); ++i) bytes += tokenizer.byte_table().token_bytes(ids, i);
    EXPECT_EQ(bytes, static_cast<int64_t>(text.size())) << text;
  }
}

TEST_F(CaseOpsTokenizer, NormalisingOneGivesTheNormalisedTextInItsCase) {
  const Tokenizer tokenizer = train(folder_, {.has_case_ops = true});
  const TextCodec codec(tokenizer);
  EXPECT_EQ(codec.decode(codec.encode(" The \n RIVER \ue003 \ufb01sh ")), "The RIVER \ue003 fish");
}

// Long texts are encoded in parts; operators are no place where that would show.
TEST_F(CaseOpsTokenizer, LongTextIsEncodedAsItWouldBeWhole) {
  const Tokenizer tokenizer = train(folder_, {.has_case_ops = true});
  std::string text;
  while (text.size() < 200'000) text += "The OLD boats\n\n  and iPhone \ue001\tLanterns ";
  const std::vector<int32_t> ids = TextCodec(tokenizer).encode(text);
  EXPECT_TRUE(ids == encode_by_sentencepiece(folder_ / "case.model", apply_case_ops(text)));
}

// Of every document of a corpus: PG_CASE_OPS_CORPUS, a .jsonl file, or the challenge-like validation
// text where there is one (PG_SHARED_DATA).
TEST(CaseOpsOnRealText, TextToTokensToTextIsTheIdentity) {
  const char* const given = std::getenv("PG_CASE_OPS_CORPUS");
  const char* const shared = std::getenv("PG_SHARED_DATA");
  const auto folder = std::filesystem::path(shared != nullptr ? shared : PG_SHARED_DATA) / "web";
  const std::filesystem::path corpus = given != nullptr ? given : folder / "dev_open.val.jsonl";
  if (!std::filesystem::exists(corpus)) GTEST_SKIP() << "no \"" << corpus.string() << "\"";
  const DataFolder own;
  train_tokenizer(corpus, 1024, own / "m.model", {.has_case_ops = true, .is_lossless = true});
  const Tokenizer tokenizer(own / "m.model");
  const TextCodec codec(tokenizer);
  DocumentReader reader(corpus);
  int64_t documents = 0, bytes = 0, charged = 0, tokens = 0;
  encode_documents(reader, codec, /*val_every=*/0,
                   [&](const EncodedDocument& document, const std::string& place) {
                     const Result<std::string> back = undo_case_ops(apply_case_ops(document.text));
                     ASSERT_TRUE(back.ok() && back.value() == document.text) << place;
                     ASSERT_TRUE(codec.decode(std::span(document.ids).subspan(1)) == document.text)
                         << place;
                     ++documents;
                     bytes += static_cast<int64_t>(document.text.size());
                     charged += document.target_bytes;
                     tokens += std::ssize(document.ids);
                   },
                   {});
  EXPECT_EQ(charged, bytes);
  std::printf("%lld documents, %lld bytes, %lld tokens\n", static_cast<long long>(documents),
              static_cast<long long>(bytes), static_cast<long long>(tokens));
}

TEST(ByteTableOfCaseOps, ChargesLiteralOperatorsAlone) {
  const std::vector<Piece> pieces = {{"<s>", PieceKind::kOther},   {"a", PieceKind::kText},
                                     {"\ue002", PieceKind::kText}, {"\ue001", PieceKind::kText},
                                     {"\ue003", PieceKind::kText}, {"\ue004", PieceKind::kText}};
  const ByteTable table = make_byte_table(pieces);
  EXPECT_EQ(table.operators, (std::vector<int32_t>{3, 2, 4, 5}));
  const auto list_bytes = [&](const std::vector<int32_t>& ids) {
    std::vector<int64_t> bytes;
    for (size_t i = 1; i < ids.size(); ++i) bytes.push_back(table.token_bytes(ids, i));
    return bytes;
  };
  EXPECT_EQ(list_bytes({0, 3, 1}), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(list_bytes({0, 5, 3, 3, 1}), (std::vector<int64_t>{0, 3, 0, 1}));
  // ESC ESC TITLE: the first escapes the second, and the title acts.
  EXPECT_EQ(list_bytes({0, 5, 5, 3, 1}), (std::vector<int64_t>{0, 3, 0, 1}));
  EXPECT_EQ(list_bytes({0, 5, 5, 5, 3, 1}), (std::vector<int64_t>{0, 3, 0, 3, 1}));
  EXPECT_EQ(list_bytes({0, 5, 1, 3}), (std::vector<int64_t>{0, 1, 0}));
}

TEST(ByteTableOfCaseOps, NeedsAllFourAsPiecesOfTheirOwn) {
  std::vector<Piece> pieces = {
      {"\ue001", PieceKind::kText}, {"\ue002", PieceKind::kText}, {"\ue003", PieceKind::kText}};
  EXPECT_TRUE(find_case_operators(pieces).empty());
  pieces.push_back({"\ue004", PieceKind::kText});
  EXPECT_EQ(find_case_operators(pieces), (std::vector<int32_t>{0, 1, 2, 3}));
  pieces.push_back({"a\ue001", PieceKind::kText});  // it would hide an operator
  EXPECT_TRUE(find_case_operators(pieces).empty());
  pieces.back() = {"\ue001", PieceKind::kOther};
  EXPECT_TRUE(find_case_operators(pieces).empty());
}

}  // namespace
}  // namespace pg
