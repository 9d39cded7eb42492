#include "eval/code/decode_tier.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "src/base/check.h"
#include "src/base/error.h"

namespace pg {
namespace {

constexpr uint32_t kMagic = 0x58544750;  // "PGTX"
constexpr uint32_t kVersion = 2;
// Bounds what a stranger's header may make a decoder allocate.
constexpr int64_t kMostContext = 1 << 16;
constexpr int64_t kMostStreamTokens = int64_t{1} << 28;
constexpr int64_t kMostWindows = int64_t{1} << 24;
constexpr int64_t kProgressTokens = 256;

Sha256 hash_tokens(std::span<const int32_t> tokens) {
  ByteWriter writer;
  for (const int32_t token : tokens) writer.u32(static_cast<uint32_t>(token));
  return sha256(writer.buffer());
}

void write_header(ByteWriter& writer, const CodedText& text) {
  writer.u32(kMagic);
  writer.u32(kVersion);
  writer.bytes(text.key.artifact_sha256);
  writer.bytes(text.key.tokenizer_sha256);
  writer.u32(static_cast<uint32_t>(text.key.context));
  writer.u32(static_cast<uint32_t>(text.key.stride));
  writer.u8(text.key.windows == Windows::kDocument ? 1 : 0);
  writer.u64(static_cast<uint64_t>(text.tokens));
  writer.u32(static_cast<uint32_t>(text.first_token));
  writer.u64(text.first_table_hash);
  writer.bytes(text.tokens_sha256);
  writer.u32(static_cast<uint32_t>(text.payload.size()));
  writer.u32(static_cast<uint32_t>(text.correction.size()));
}

Sha256 read_sha256(ByteReader& reader) {
  Sha256 hash = {};
  const auto bytes = reader.bytes(hash.size());
  if (bytes.size() == hash.size()) std::copy(bytes.begin(), bytes.end(), hash.begin());
  return hash;
}

// Fewer bits than this no token costs: the others keep a frequency of one.
double least_bits_per_token(int64_t vocab_size) {
  const double others = static_cast<double>(vocab_size - 1);
  return -std::log2(1.0 - others / static_cast<double>(kFrequencyTotal));
}

// Of a key and a number of tokens that no file may have; "" for others.
std::string find_out_of_range(const CodingKey& key, int64_t tokens) {
  if (key.context < 1 || key.context > kMostContext) {
    return fmt::format("context {}; it is 1 to {}", key.context, kMostContext);
  }
  if (key.stride < 1 || key.stride > key.context) {
    return fmt::format("stride {}; it is 1 to the context of {}", key.stride, key.context);
  }
  const int64_t most = std::min(kMostStreamTokens, kMostWindows * key.stride);
  if (tokens < 1 || tokens > most) return fmt::format("{} tokens; 1 to {}", tokens, most);
  return "";
}

Failure damaged(const std::string& how) {
  return {"coded text is damaged: " + how + "; encode the text again"};
}

}  // namespace

EvalConfig make_coding_config(const CodingKey& key) {
  EvalConfig config;
  config.context = key.context;
  config.stride = key.stride;
  config.windows = key.windows;
  config.batch_tokens = key.context;
  return config;
}

EncodedText encode_text(Scorer& scorer, std::span<const int32_t> stream, const ByteTable& bytes,
                        const CodingKey& key, const CodingProgressFn& progress,
                        std::span<const uint8_t> correction) {
  const std::string problem = find_out_of_range(key, static_cast<int64_t>(stream.size()));
  if (!problem.empty()) throw Error("text cannot be coded: " + problem);
  EncodedText result;
  CodedText text = {.key = key,
                    .tokens = static_cast<int64_t>(stream.size()),
                    .first_token = stream.empty() ? 0 : stream[0],
                    .tokens_sha256 = hash_tokens(stream),
                    .first_table_hash = 0,
                    .payload = {},
                    .correction = correction};
  FrequencyTable table;
  ArithmeticEncoder encoder;
  LedgerHooks hooks;
  hooks.on_distribution = [&](int64_t target, const TokenDistribution& distribution) {
    table.assign(distribution);
    if (target == 1) text.first_table_hash = table.hash();
  };
  hooks.on_score = [&](int64_t target, int32_t token, double /*bits*/) {
    encoder.encode(table.share(token));
    if (progress && target % kProgressTokens == 0) progress(target + 1, text.tokens);
  };
  // Of a text that the tokenizer keeps nothing of there is its BOS alone, and nothing to score.
  const bool has_targets = stream.size() > 1;
  if (has_targets) result.totals = Ledger(stream, bytes).score(scorer, hooks);
  const Bytes payload = has_targets ? encoder.finish() : Bytes();
  text.payload = payload;
  ByteWriter writer;
  write_header(writer, text);
  writer.bytes(payload);
  writer.bytes(correction);
  result.file = writer.take();
  result.payload_bytes = static_cast<int64_t>(payload.size());
  return result;
}

Result<CodedText> parse_coded_text(std::span<const uint8_t> file) {
  ByteReader reader(file);
  if (reader.u32() != kMagic || !reader.ok()) {
    return Failure{
        "not a coded text: its first bytes are another file's; give a file that "
        "train_gpt encode wrote"};
  }
  if (const uint32_t version = reader.u32(); version != kVersion) {
    return Failure{
        fmt::format("coded text has version {}, this program reads {}", version, kVersion)};
  }
  CodedText text;
  text.key.artifact_sha256 = read_sha256(reader);
  text.key.tokenizer_sha256 = read_sha256(reader);
  text.key.context = reader.u32();
  text.key.stride = reader.u32();
  const uint8_t windows = reader.u8();
  const uint64_t tokens = reader.u64();
  const uint32_t first_token = reader.u32();
  text.first_table_hash = reader.u64();
  text.tokens_sha256 = read_sha256(reader);
  const uint32_t payload_bytes = reader.u32();
  const uint32_t correction_bytes = reader.u32();
  if (!reader.ok()) return damaged("its header is cut short");
  // Clamped, a number of tokens stays out of range.
  text.tokens = static_cast<int64_t>(std::min<uint64_t>(tokens, INT64_MAX));
  const std::string problem = find_out_of_range(text.key, text.tokens);
  if (!problem.empty()) return damaged(problem);
  if (windows > 1) return damaged(fmt::format("windows of kind {}", windows));
  if (first_token > 0xffff) return damaged(fmt::format("its first token is {}", first_token));
  const uint64_t body_bytes = uint64_t{payload_bytes} + correction_bytes;
  if (body_bytes != reader.remaining()) {
    return damaged(fmt::format("{} bytes of {} are there", reader.remaining(), body_bytes));
  }
  text.key.windows = windows == 1 ? Windows::kDocument : Windows::kStream;
  text.first_token = static_cast<int32_t>(first_token);
  text.payload = reader.bytes(payload_bytes);
  text.correction = reader.bytes(correction_bytes);
  return text;
}

// The ledger's loop with a file in the place of the true tokens.
class TextDecoder {
 public:
  TextDecoder(Scorer& scorer, const CodedText& text, const CodingProgressFn& progress)
      : scorer_(&scorer), text_(&text), progress_(&progress), coder_(text.payload) {}

  Result<std::vector<int32_t>> decode() {
    std::vector<int32_t> tokens;
    tokens.push_back(text_->first_token);
    if (text_->tokens == 1) return check_whole(std::move(tokens), !text_->payload.empty());
    for (const Chunk& chunk : scorer_->plan_order(text_->tokens)) {
      PG_CHECK(chunk.first == static_cast<int64_t>(tokens.size()) && chunk.end() <= text_->tokens,
               "an order of every target once");
      for (int64_t target = chunk.first; target < chunk.end(); ++target) {
        // The scorer holds a span of the tokens while the next one is added.
        if (tokens.size() == tokens.capacity()) tokens.reserve(2 * tokens.capacity());
        scorer_->open_chunk(chunk, tokens);
        if (!decode_token(target, tokens)) {
          return Failure{
              "coded text was made with other probabilities: those of its first token differ; "
              "decode with the program, kind of processor and device that encoded it"};
        }
        if (coder_.is_past_end()) return damaged(fmt::format("it ends at token {}", target));
        scorer_->perceive(target, tokens.back());
        if (*progress_ && target % kProgressTokens == 0) (*progress_)(target + 1, text_->tokens);
      }
      scorer_->close_chunk(ScoredChunk(chunk, tokens));
    }
    return check_whole(std::move(tokens), !coder_.is_at_end());
  }

 private:
  Result<std::vector<int32_t>> check_whole(std::vector<int32_t> tokens, bool has_more) const {
    if (has_more) return damaged("bytes are left behind its last token");
    if (hash_tokens(tokens) != text_->tokens_sha256) {
      return damaged("the decoded tokens are not those that were encoded");
    }
    return tokens;
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
};

Result<std::vector<int32_t>> decode_text(Scorer& scorer, const CodedText& text, int64_t vocab_size,
                                         const CodingProgressFn& progress) {
  if (text.first_token >= vocab_size) {
    return damaged(fmt::format("its first token is {} of {}", text.first_token, vocab_size));
  }
  // A header that promises more than its bytes can hold would keep a decoder busy for years.
  const double most_bits = 8.0 * static_cast<double>(text.payload.size() + 8);
  if (static_cast<double>(text.tokens - 1) * least_bits_per_token(vocab_size) > most_bits) {
    return damaged(fmt::format("{} bytes cannot hold {} tokens", text.payload.size(), text.tokens));
  }
  return TextDecoder(scorer, text, progress).decode();
}

}  // namespace pg
