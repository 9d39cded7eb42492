#include "eval/code/text_decoder.h"

#include <fmt/format.h>

#include <utility>

#include "eval/code/arithmetic_coder.h"
// <parts>
#include "eval/score/document_chunks.h"
// </parts>
#include "eval/score/ledger.h"
#include "src/base/check.h"
#include "src/base/exact_math.h"

namespace pg {
namespace {

// Fewer bits than this no token costs: the others keep a frequency of one.
double least_bits_per_token(int64_t vocab_size) {
  const double others = static_cast<double>(vocab_size - 1);
  return -log2_f64(1.0 - others / static_cast<double>(kFrequencyTotal));
}

}  // namespace

// The ledger's loop with a file in the place of the true tokens.
class TextDecoder {
 public:
  TextDecoder(Scorer& scorer, const CodedText& text, const CodingProgressFn& progress)
      : scorer_(&scorer), text_(&text), progress_(&progress), coder_(text.payload) {}

  // <train_gpt>
  void stop_behind(size_t payload_bytes) { most_bytes_ = payload_bytes; }
  // </train_gpt>
  Result<std::vector<int32_t>> decode(int64_t vocab_size) {
    if (text_->first_token >= vocab_size) {
      return describe_damage(
          fmt::format("its first token is {} of {}", text_->first_token, vocab_size));
    }
    // A header that promises more than its bytes can hold would keep a decoder busy for years.
    const double most_bits = 8.0 * static_cast<double>(text_->payload.size() + 8);
    if (static_cast<double>(text_->tokens - 1) * least_bits_per_token(vocab_size) > most_bits) {
      return describe_damage(
          fmt::format("{} bytes cannot hold {} tokens", text_->payload.size(), text_->tokens));
    }
    std::vector<int32_t> tokens;
    tokens.push_back(text_->first_token);
    check_.add(text_->first_token);
    if (text_->tokens == 1) return check_whole(std::move(tokens), !text_->payload.empty());
    std::vector<Chunk> chunks = scorer_->plan_order(text_->tokens);
    // <parts>
    const int64_t most = scorer_->document_chunk_targets();
    if (most > 0) chunks = {longest_chunk(1, most, text_->tokens)};
    // </parts>
    for (size_t i = 0; i < chunks.size(); ++i) {
      Chunk chunk = chunks[i];
      PG_CHECK(chunk.first == static_cast<int64_t>(tokens.size()) && chunk.end() <= text_->tokens,
               "an order of every target once");
      for (int64_t target = chunk.first; target < chunk.end(); ++target) {
        // The scorer holds a span of the tokens while the next one is added.
        if (tokens.size() == tokens.capacity()) tokens.reserve(2 * tokens.capacity());
        scorer_->open_chunk(chunk, tokens);
        if (!decode_token(target, tokens)) {
          return Failure{
              "coded text was made with other probabilities: those of its first token differ; "
              "decode with the program that encoded it"};
        }
        if (coder_.is_past_end())
          return describe_damage(fmt::format("it ends at token {}", target));
        if (!is_on_its_way(target, tokens.back())) {
          return Failure{fmt::format(
              "decoding went another way between tokens {} and {}: the text was coded with other "
              "probabilities, or is damaged; encode it again with this program",
              target + 1 - kCheckTokens, target)};
        }
        scorer_->perceive(target, tokens.back());
        if (*progress_ && target % kProgressTargets == 0) (*progress_)(target + 1, text_->tokens);
        // <train_gpt>
        if (coder_.bytes_read() > most_bytes_) {
          tokens.resize(tokens.size() / kCheckTokens * kCheckTokens);
          return tokens;
        }
        // </train_gpt>
        // <parts>
        if (most > 0 && tokens.back() == kBosId) chunk.count = target + 1 - chunk.first;
        // </parts>
      }
      scorer_->close_chunk(ScoredChunk(chunk, tokens));
      // <parts>
      if (most > 0 && chunk.end() < text_->tokens) {
        chunks.push_back(longest_chunk(chunk.end(), most, text_->tokens));
      }
      // </parts>
    }
    return check_whole(std::move(tokens), !coder_.is_at_end());
  }

 private:
  Result<std::vector<int32_t>> check_whole(std::vector<int32_t> tokens, bool has_more) const {
    if (has_more) return describe_damage("bytes are left behind its last token");
    if (hash_tokens(tokens) != text_->tokens_sha256) {
      return describe_damage("the decoded tokens are not those that were encoded");
    }
    return tokens;
  }

  bool is_on_its_way(int64_t target, int32_t token) {
    check_.add(token);
    const int64_t tokens = target + 1;
    return tokens % kCheckTokens != 0 ||
           text_->checks[static_cast<size_t>(tokens / kCheckTokens - 1)] == check_.low_bits();
  }

  // Whether the first target's frequencies are the encoder's.
  bool decode_token(int64_t target, std::vector<int32_t>& tokens) {
    scorer_->predict(target, distribution_);
    table_.assign(distribution_);
    if (target == 1 && table_.hash() != text_->first_table_hash) return false;
    const int32_t token = table_.find(coder_.peek());
    coder_.take(table_.share(token));
    tokens.push_back(token);
    return true;
  }

  Scorer* scorer_;
  const CodedText* text_;
  const CodingProgressFn* progress_;
  ArithmeticDecoder coder_;
  FrequencyTable table_;
  TokenDistribution distribution_;
  TokenCheck check_;
  // <train_gpt>
  size_t most_bytes_ = SIZE_MAX;
  // </train_gpt>
};

Result<std::vector<int32_t>> decode_text(Scorer& scorer, const CodedText& text, int64_t vocab_size,
                                         const CodingProgressFn& progress) {
  return TextDecoder(scorer, text, progress).decode(vocab_size);
}
// <train_gpt>

Result<std::vector<int32_t>> decode_beginning(Scorer& scorer, const CodedText& text,
                                              int64_t vocab_size, size_t payload_bytes,
                                              const CodingProgressFn& progress) {
  TextDecoder decoder(scorer, text, progress);
  decoder.stop_behind(payload_bytes);
  return decoder.decode(vocab_size);
}
// </train_gpt>

}  // namespace pg
