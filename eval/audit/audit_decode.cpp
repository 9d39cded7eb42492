// V9: whoever has only the artifact and the code can tell the same distributions, and so the text.
// First by comparing distributions over the whole text, then by a real file that is really decoded.
#include <fmt/format.h>

#include <algorithm>

#include "eval/audit/audit_runner.h"
#include "eval/code/encode/text_encoder.h"
#include "eval/code/text_decoder.h"
#include "src/base/error.h"

namespace pg {
namespace {

constexpr const char* kName = "decode";
// What integer frequencies of 2^-24 and the last byte cost a file.
constexpr double kMostOverhead = 0.0005;
constexpr double kMostEndBits = 64;

// "": at targets spread over the text, a decoder's view gives the metered distributions. Odd steps,
// so that they fall on all places of a window.
std::string find_view_change(AuditRunner& runner, std::vector<ProbeMeasure>& measures) {
  const int64_t every = std::max<int64_t>(1, runner.size() / runner.options().decoder_views) | 1;
  const int64_t views = (runner.size() - 1) / every;
  measures.push_back({"views", static_cast<double>(views)});
  const Trace trace = runner.run(runner.text(), {.decoder_every = every});
  const int64_t changed = find_difference(runner.base(), trace, runner.size());
  if (changed > 0) {
    return fmt::format("a decoder's distribution of target {} is not the one that was scored",
                       changed);
  }
  return trace.refusal.empty() ? "" : "the ledger refused a decoder's view: " + trace.refusal;
}

// "": so are all of the text's first distributions when every one is a decoder's.
std::string find_decoder_change(AuditRunner& runner, std::span<const int32_t> text) {
  const auto tokens = static_cast<int64_t>(text.size());
  const Trace metered = runner.run(text);
  const Trace decoded = runner.run(text, {.as_decoder = true});
  if (!decoded.refusal.empty()) return "the ledger refused a decoder's run: " + decoded.refusal;
  const int64_t changed = find_difference(metered, decoded, tokens);
  return changed == 0 ? "" : fmt::format("a decoder cannot tell the distribution of {}", changed);
}

// "": a file that one scorer wrote gives another one the text back, and is as long as the score.
std::string find_file_fault(AuditRunner& runner, std::span<const int32_t> text,
                            std::vector<ProbeMeasure>& measures) {
  const auto encoder = runner.subject().make_scorer(), decoder = runner.subject().make_scorer();
  EncodedText encoded;
  try {
    encoded = encode_text(*encoder, text, *runner.subject().bytes, Sha256{});
  } catch (const Error& error) {
    return error.what();
  }
  const double bits = 8.0 * static_cast<double>(encoded.payload_bytes);
  measures.push_back({"metered_bits", encoded.totals.bits});
  measures.push_back({"file_bits", bits});
  const Result<CodedText> coded = parse_coded_text(encoded.file);
  if (!coded.ok()) return coded.error();
  const auto decoded = decode_text(*decoder, coded.value(), runner.subject().vocab_size);
  if (!decoded.ok()) return decoded.error();
  if (!std::equal(text.begin(), text.end(), decoded.value().begin(), decoded.value().end())) {
    return "the decoded tokens are not the text";
  }
  // A shorter file is no fault: below 2^-24 a frequency is more than the probability.
  if (bits > encoded.totals.bits * (1 + kMostOverhead) + kMostEndBits) {
    return fmt::format("the file takes {} bits, the score says {:.1f}", bits, encoded.totals.bits);
  }
  return "";
}

}  // namespace

ProbeResult probe_decode(AuditRunner& runner) {
  if (const auto refused = need_base(runner, "V9", kName)) return *refused;
  const int64_t tokens = std::min(runner.size(), runner.options().decode_tokens + 1);
  const auto text = runner.text().first(static_cast<size_t>(tokens));
  std::vector<ProbeMeasure> measures;
  std::string problem = find_view_change(runner, measures);
  if (problem.empty()) problem = find_decoder_change(runner, text);
  if (problem.empty()) problem = find_file_fault(runner, text, measures);
  const bool pass = problem.empty();
  if (pass) {
    measures.push_back({"decoded", static_cast<double>(tokens - 1)});
    problem = fmt::format("{} tokens decoded from their file; {} more views bitwise a decoder's",
                          tokens - 1, measures[0].value);
  }
  return make_result("V9", kName, pass, std::move(problem), std::move(measures));
}

}  // namespace pg
