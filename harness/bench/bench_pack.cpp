// Times are of one thread's processor time, so that a busy machine does not count. The general
// coders are given all codes as bytes, one matrix after another, once row by row and once column by
// column; the smaller result stands.
#include "harness/bench/bench_pack.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>

#include "harness/bench/reference_coders.h"
#include "quant/coder/weight_coder.h"
#include "quant/format/artifact_format.h"
#include "quant/method/code_entropy.h"
#include "src/base/check.h"
#include "src/base/error.h"
#include "src/base/rng.h"
#include "src/model/model.h"
#include "src/text/file_kind.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

constexpr int kRounds = 5;  // of our coder; the median counts

struct Matrix {
  CodeShape shape;
  std::vector<int8_t> codes;  // [rows, cols]
  int role = 0;
};

// Of what is measured: the codes of an artifact, or made-up ones.
struct Subject {
  std::vector<Matrix> matrices = {};  // in the order of the file
  int64_t codes = 0;
  double entropy_bytes = 0;  // order 0, per matrix, summed

  void add(Matrix m) {
    codes += std::ssize(m.codes);
    entropy_bytes += order0_entropy_bytes(m.codes);
    matrices.push_back(std::move(m));
  }
};

// Takes the codes out of a tensor's streams.
struct CodeCollector {
  Subject* subject;
  int role;

  void halves(const std::vector<uint16_t>&, size_t, HalfKind) const {}
  void half(uint16_t) const {}
  void real(float) const {}
  void small_codes(const std::vector<int8_t>&, size_t, int) const {}
  void codes(const CodeShape& shape, const std::vector<int8_t>& v) const {
    subject->add({shape, v, role});
  }
};

Matrix gaussian_matrix(CodeShape shape, double sigma, int role) {
  const CounterRng rng(static_cast<uint64_t>(role), kStreamTest);
  Matrix m{shape, std::vector<int8_t>(static_cast<size_t>(shape.rows * shape.cols)), role};
  for (size_t i = 0; i < m.codes.size(); ++i) {
    const double limit = shape.max_code;
    const double q = std::clamp(std::rint(sigma * rng.normal(i)), -limit, limit);
    m.codes[i] = static_cast<int8_t>(q);
  }
  return m;
}

// formulas.md 4.5: int7 embedding at k = 14, int6 matrices at k = 12.85.
Subject make_gaussian_record() {
  constexpr int64_t kShapes[][2] = {{512, 512}, {256, 512},  {256, 512},
                                    {512, 512}, {2048, 512}, {512, 2048}};
  Subject subject;
  subject.add(gaussian_matrix({8192, 512, 63}, 4.5, 0));
  for (int layer = 0; layer < 11; ++layer) {
    for (int role = 0; role < 6; ++role) {
      subject.add(gaussian_matrix({kShapes[role][0], kShapes[role][1], 31}, 2.41, 1 + role));
    }
  }
  return subject;
}

struct Row {
  std::string name;
  std::optional<int64_t> bytes = {};  // none: not installed
  double encode_s = 0, decode_s = 0;
  const char* order = "";  // of the codes, for general coders
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// body() kRounds times; median seconds.
template <class Body>
double time_rounds(const Body& body) {
  std::vector<double> seconds;
  for (int round = 0; round < kRounds; ++round) {
    const double begin_s = computed_s();
    body();
    seconds.push_back(computed_s() - begin_s);
  }
  return median(seconds);
}

Row measure_ours(const Subject& subject) {
  Row row{.name = "ours"};
  Bytes stream;
  row.encode_s = time_rounds([&] {
    WeightEncoder encoder;
    for (const Matrix& m : subject.matrices) encoder.codes(m.shape, m.codes, m.role);
    stream = encoder.finish();
  });
  row.bytes = std::ssize(stream);
  std::vector<std::vector<int8_t>> out;
  for (const Matrix& m : subject.matrices) out.emplace_back(m.codes.size());
  bool ok = true;
  row.decode_s = time_rounds([&] {
    WeightDecoder decoder(stream);
    for (size_t i = 0; i < out.size(); ++i) {
      const Matrix& m = subject.matrices[i];
      ok = ok && decoder.codes(m.shape, out[i], m.role);
    }
    ok = ok && decoder.finish();
  });
  for (size_t i = 0; i < out.size(); ++i) ok = ok && out[i] == subject.matrices[i].codes;
  PG_CHECK(ok, "the weight coder does not give back what it was given");
  return row;
}

Bytes join_codes(const Subject& subject, bool by_column) {
  Bytes raw;
  raw.reserve(static_cast<size_t>(subject.codes));
  for (const Matrix& m : subject.matrices) {
    const auto rows = static_cast<size_t>(m.shape.rows), cols = static_cast<size_t>(m.shape.cols);
    for (size_t i = 0; i < m.codes.size(); ++i) {
      const size_t at = by_column ? i % rows * cols + i / rows : i;
      raw.push_back(static_cast<uint8_t>(m.codes[at]));
    }
  }
  return raw;
}

std::vector<Row> measure_others(const Subject& subject, bool with_lrzip) {
  std::vector<Row> best;
  for (const bool by_column : {true, false}) {
    const char* order = by_column ? "columns" : "rows";
    const auto results = run_reference_coders(join_codes(subject, by_column), with_lrzip);
    for (size_t i = 0; i < results.size(); ++i) {
      const ReferenceResult& r = results[i];
      if (best.size() == i) {
        best.push_back({r.name, r.bytes, r.encode_s, r.decode_s, order});
      } else if (r.bytes && *r.bytes < *best[i].bytes) {
        best[i] = {r.name, r.bytes, r.encode_s, r.decode_s, order};
      }
    }
  }
  return best;
}

// None where a code is not -1, 0 or 1.
std::optional<Row> measure_trits(const Subject& subject) {
  const Bytes raw = join_codes(subject, false);
  std::vector<int8_t> codes;
  for (const uint8_t byte : raw) codes.push_back(static_cast<int8_t>(byte));
  if (std::ranges::any_of(codes, [](int8_t code) { return code < -1 || code > 1; })) return {};
  Row row{.name = "base 3"};
  Bytes packed;
  row.encode_s = time_rounds([&] { packed = pack_trits(codes); });
  row.decode_s = time_rounds([&] { unpack_trits(packed, codes); });
  row.bytes = std::ssize(packed);
  return row;
}

void print_row(const Subject& subject, const Row& row) {
  if (!row.bytes) {
    fmt::print("  {:<14} not installed\n", row.name);
    return;
  }
  const auto bytes = static_cast<double>(*row.bytes);
  fmt::print("  {:<14} {:>13} {:>10.4f} {:>+10.2f}% {:>10.1f} {:>10.2f}  {}\n", row.name,
             format_thousands(*row.bytes), 8 * bytes / static_cast<double>(subject.codes),
             100 * (bytes / subject.entropy_bytes - 1), 1e3 * row.encode_s, 1e3 * row.decode_s,
             row.order);
}

// What the coder makes of the codes, the others, and who is smaller.
void report(const Subject& subject, bool with_lrzip) {
  if (subject.codes == 0) {
    fmt::print("  no codes: every tensor is fp16\n");
    return;
  }
  fmt::print("  {} codes in {} tensors, order-0 entropy {:.0f} bytes, {:.4f} bits a code\n",
             format_thousands(subject.codes), subject.matrices.size(), subject.entropy_bytes,
             8 * subject.entropy_bytes / static_cast<double>(subject.codes));
  fmt::print("  {:<14} {:>13} {:>10} {:>11} {:>10} {:>10}  {}\n", "coder", "bytes", "bits/code",
             "to entropy", "encode ms", "decode ms", "order");
  const Row ours = measure_ours(subject);
  print_row(subject, ours);
  std::vector<Row> others = measure_others(subject, with_lrzip);
  if (const auto trits = measure_trits(subject)) others.push_back(*trits);
  const Row* best = nullptr;
  for (const Row& row : others) {
    print_row(subject, row);
    if (row.bytes && (best == nullptr || *row.bytes < *best->bytes)) best = &row;
  }
  fmt::print("  ours decodes in {:.2f} ns a code\n",
             1e9 * ours.decode_s / static_cast<double>(subject.codes));
  const double share = static_cast<double>(*ours.bytes) / static_cast<double>(*best->bytes);
  fmt::print("  ours is {:.2f} % {} than the best of the others, {}\n", 100 * std::fabs(1 - share),
             share <= 1 ? "smaller" : "larger", best->name);
}

// The file with all that it holds.
void report_file(std::span<const uint8_t> file, const QuantModel& model) {
  const double encode_s = time_rounds([&] { encode_artifact(model); });
  const double decode_s = time_rounds([&] { PG_CHECK(parse_artifact(file).ok(), "artifact"); });
  const auto params = static_cast<double>(count_params(model.config));
  fmt::print(
      "  whole file: {} bytes, {:.4f} bits a weight, encode {:.1f} ms, decode {:.1f} ms, "
      "{:.2f} ns a weight\n",
      format_thousands(std::ssize(file)), 8 * static_cast<double>(file.size()) / params,
      1e3 * encode_s, 1e3 * decode_s, 1e9 * decode_s / params);
}

}  // namespace

int run_bench_pack(const BenchPackOptions& options) {
  if (options.artifacts.empty() && !options.synthetic) {
    throw Error("bench pack: nothing to measure; give artifacts or --synthetic");
  }
  for (const std::filesystem::path& path : options.artifacts) {
    const Bytes file = read_file(path);
    const Result<QuantModel> parsed = parse_artifact(file);
    if (!parsed.ok()) {
      const std::string_view foreign = describe_foreign_file(file);
      if (!foreign.empty()) {
        throw Error(fmt::format("not a valid artifact: \"{}\" is {}", path.string(), foreign));
      }
      throw Error(
          fmt::format("not a valid artifact: \"{}\" ({}); give a file that train_gpt run wrote",
                      path.string(), parsed.error()));
    }
    const QuantModel& model = parsed.value();
    Subject subject;
    for (const PayloadEntry& entry : order_payload(list_params(model.config))) {
      visit_streams(model.tensors[entry.tensor], CodeCollector{&subject, entry.role});
    }
    fmt::print("{}\n", escape_terminal(path.string()));
    report(subject, !options.no_lrzip);
    report_file(file, model);
    std::fflush(stdout);
  }
  if (options.synthetic) {
    fmt::print("Gaussian codes\n");
    report(make_gaussian_record(), !options.no_lrzip);
  }
  return 0;
}

}  // namespace pg
