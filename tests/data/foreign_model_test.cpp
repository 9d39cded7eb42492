// Tokenizers that the challenge's options do not make. What each id is charged with must add up to
// the bytes of the text, or be refused.
#include <gtest/gtest.h>

#include "src/data/corpus/corpus.h"
#include "src/data/corpus/shard_checks.h"
#include "src/data/corpus/text_codec.h"
#include "src/data/token_file.h"
#include "tests/data/data_fixture.h"

namespace pg {
namespace {

struct ForeignModel {
  const char* name;
  const char* options;
};
std::ostream& operator<<(std::ostream& out, const ForeignModel& model) { return out << model.name; }

// Nothing of the text is changed, so that every byte of it has to be found again.
constexpr const char* kIdentity =
    "--normalization_rule_name=identity --remove_extra_whitespaces=false --byte_fallback=true ";

class ExactModel : public testing::TestWithParam<ForeignModel> {
 protected:
  Tokenizer train() const {
    return Tokenizer(train_foreign_model(folder_, kIdentity + std::string(GetParam().options)));
  }
  DataFolder folder_;
};

std::string make_json_line(const std::string& text) {
  std::string line = "{\"text\": \"";
  for (const char c : text) {
    if (c == '\n') {
      line += "\\n";
    } else {
      line += c == '\t' ? std::string("\\t") : std::string(1, c);
    }
  }
  return line + "\"}\n";
}

const std::vector<std::string>& texts() {
  static const std::vector<std::string> kTexts = {"the small river",
                                                  "  under  an   old bridge",
                                                  "where children often watch  ",
                                                  "slow \n boats\tand",
                                                  " count ",
                                                  "caf\u00e9 \u4e2d\u6587 \U0001f600",
                                                  "x",
                                                  "the<sep>river <sep> bridge",
                                                  make_prose(3, 40)};
  return kTexts;
}

TEST_P(ExactModel, ChargesEveryByteOfTheText) {
  const Tokenizer tokenizer = train();
  const TextCodec codec(tokenizer);
  for (const std::string& text : texts()) {
    std::vector<int32_t> ids = codec.encode_document(text);
    ids.push_back(kBosId);  // as in a stream, where another document follows
    int64_t bytes = 0;
    for (size_t i = 1; i < ids.size(); ++i) {
      bytes += tokenizer.byte_table().token_bytes(ids, i);
    }
    EXPECT_EQ(bytes, static_cast<int64_t>(text.size())) << "\"" << text << "\"";
  }
}

TEST_P(ExactModel, GivesTheTextBack) {
  const Tokenizer tokenizer = train();
  const TextCodec codec(tokenizer);
  for (const std::string& text : texts()) EXPECT_EQ(codec.decode(codec.encode(text)), text);
}

TEST_P(ExactModel, ShardsHaveTheBytesOfTheText) {
  train();
  std::string lines;
  int64_t text_bytes = 0;
  for (const std::string& text : texts()) {
    lines += make_json_line(text);
    text_bytes += static_cast<int64_t>(text.size());
  }
  TokenizeOptions options;
  options.input = folder_.write("c.jsonl", lines);
  options.tokenizer = folder_ / "foreign.model";
  options.output_folder = folder_ / "shards";
  options.val_every = 0;
  const TokenizeSummary summary = tokenize_corpus(options);
  EXPECT_EQ(summary.splits[0].byte_mismatch_documents, 0);
  EXPECT_EQ(summary.splits[0].text_bytes, text_bytes);
  EXPECT_EQ(summary.splits[0].target_bytes, text_bytes);
  const Tokenizer tokenizer(options.tokenizer);
  const TokenStream stream = TokenStream::open(summary.shards[0].string(), tokenizer.vocab_size());
  EXPECT_EQ(find_byte_faults(stream, tokenizer), DataFaults{});
}

// Parts against the whole text, by SentencePiece alone. A unigram model adds up scores in float, so
// that over a text of this length it may miss the best pieces by a rounding; parts never do worse.
TEST_P(ExactModel, LongTextsAreEncodedAsTheyWouldBeWhole) {
  const Tokenizer tokenizer = train();
  const TextCodec codec(tokenizer);
  std::string text;
  for (uint64_t i = 0; text.size() < 300'000; ++i) {
    text += texts()[i % texts().size()] + (i % 3 == 0 ? "\n" : " ") + make_prose(i, 3);
  }
  const std::vector<int32_t> ids = codec.encode(text);
  const std::vector<int32_t> whole = encode_by_sentencepiece(folder_ / "foreign.model", text);
  if (std::string_view(GetParam().name).ends_with("unigram")) {
    EXPECT_GE(sum_scores(folder_ / "foreign.model", ids),
              sum_scores(folder_ / "foreign.model", whole) - 1e-6);
  } else {
    EXPECT_TRUE(ids == whole);
  }
  EXPECT_TRUE(codec.decode(ids) == text);  // that is several parts, too
}

INSTANTIATE_TEST_SUITE_P(
    Options, ExactModel,
    testing::Values(
        ForeignModel{"bpe", "--model_type=bpe"},
        ForeignModel{"bpe_no_prefix", "--model_type=bpe --add_dummy_prefix=false"},
        ForeignModel{"unigram", "--model_type=unigram"},
        ForeignModel{"unigram_no_prefix", "--model_type=unigram --add_dummy_prefix=false"},
        ForeignModel{"characters", "--model_type=char"},
        ForeignModel{"space_inside", "--model_type=bpe --split_by_whitespace=false"},
        ForeignModel{"space_inside_unigram",
                     "--model_type=unigram --split_by_whitespace=false --vocab_size=700"},
        ForeignModel{"space_inside_no_prefix",
                     "--model_type=bpe --split_by_whitespace=false --add_dummy_prefix=false"},
        ForeignModel{"suffix", "--model_type=bpe --treat_whitespace_as_suffix=true"},
        ForeignModel{"suffix_unigram", "--model_type=unigram --treat_whitespace_as_suffix=true"},
        ForeignModel{"suffix_inside",
                     "--model_type=bpe --treat_whitespace_as_suffix=true "
                     "--split_by_whitespace=false"},
        ForeignModel{"suffix_none_added",
                     "--model_type=bpe --treat_whitespace_as_suffix=true "
                     "--add_dummy_prefix=false"},
        ForeignModel{"space_pieces", "--model_type=bpe --allow_whitespace_only_pieces=true"},
        ForeignModel{
            "user_defined",
            "--model_type=bpe --user_defined_symbols=<sep>,\u2581\u2581,\u2581\u2581\u2581"},
        ForeignModel{"user_defined_words",
                     "--model_type=unigram --user_defined_symbols=small\u2581river,<sep>"},
        ForeignModel{"control", "--model_type=unigram --control_symbols=<sep>,<cls>"}),
    [](const auto& info) { return std::string(info.param.name); });

class ForeignModelTest : public testing::Test {
 protected:
  TokenizeOptions make_options(const std::string& text) const {
    TokenizeOptions options;
    options.input = folder_.write("c.jsonl", make_jsonl(1, 3) + make_json_line(text));
    options.tokenizer = folder_ / "foreign.model";
    options.output_folder = folder_ / "shards";
    options.val_every = 0;
    return options;
  }
  DataFolder folder_;
};

TEST_F(ForeignModelTest, TextThatTheVocabularyDoesNotCoverIsRefused) {
  train_foreign_model(folder_, "--model_type=bpe --add_dummy_prefix=false");  // no byte fallback
  TokenizeOptions options = make_options("the river \u4e2d\u6587 turns");
  const std::string error = catch_error([&] { tokenize_corpus(options); });
  EXPECT_TRUE(says(error, "bytes a token are not exact: the document at"));
  EXPECT_TRUE(says(error, "c.jsonl\" line 4 has 22 bytes"));
  EXPECT_TRUE(says(error, "1 of them unknown"));
  const Tokenizer tokenizer(options.tokenizer);
  const std::string shards = (folder_ / "shards/corpus_train_*.bin").string();
  options.force = true;
  EXPECT_EQ(tokenize_corpus(options).splits[0].byte_mismatch_documents, 1);
  const DataFaults faults = find_shard_faults(shards, tokenizer.sha256());
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_TRUE(says(faults[0], "1 of 4 documents"));
  const TokenStream stream = TokenStream::open(shards, tokenizer.vocab_size());
  ASSERT_EQ(find_byte_faults(stream, tokenizer).size(), 1u);
  EXPECT_TRUE(says(find_byte_faults(stream, tokenizer)[0], "are unknown ones"));
}

TEST_F(ForeignModelTest, CoveredTextNeedsNoFallback) {
  train_foreign_model(folder_, "--model_type=bpe --add_dummy_prefix=false");
  const TokenizeSummary summary = tokenize_corpus(make_options("the river turns"));
  EXPECT_EQ(summary.splits[0].byte_mismatch_documents, 0);
  EXPECT_EQ(summary.splits[0].text_bytes, summary.splits[0].target_bytes);
}

// A text may begin with the character that stands for a space in pieces.
TEST(ForeignModel, TheSpacesMarkAtTheStartIsChargedOrNamed) {
  const DataFolder folder;
  TokenizeOptions options;
  options.input = folder.write("c.jsonl", "{\"text\": \"\u2581the of\"}\n");
  options.tokenizer = folder / "foreign.model";
  options.output_folder = folder / "shards";
  options.val_every = 0;
  options.split = "train";
  bool is_named = false;
  for (const char* more : {"", " --user_defined_symbols=the", " --add_dummy_prefix=false"}) {
    train_foreign_model(folder, std::string("--model_type=bpe --byte_fallback=true "
                                            "--normalization_rule_name=nfkc") +
                                    more);
    std::filesystem::remove_all(options.output_folder);
    const std::string message = catch_error([&] { tokenize_corpus(options); });
    EXPECT_TRUE(message.empty() || says(message, "begins with U+2581")) << message;
    is_named |= !message.empty();
  }
  EXPECT_TRUE(is_named);
}

}  // namespace
}  // namespace pg
