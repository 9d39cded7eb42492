// Seeded bugs in the PTX of the tensor-core kernels: one instruction of what nvcc made is another, and
// the checks that the product's PTX passes must notice. So the interpreter is shown to keep what a
// GPU keeps: which lane holds what of a fragment, when an asynchronous copy has landed, what a barrier
// orders. Bugs in the kernels' source are those of mutants_of_attention.cmake.
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "tests/simt/attention_check.h"
#include "tests/simt/ptx/ptx_harness.h"

namespace pg::ptx {
namespace {

constexpr int kEvery = -1;

// Instructions of a kernel that begin so, of which number `which` or every one is rewritten. They are
// those of inline assembly, whose order is the source's whatever the compiler.
struct PtxMutant {
  const char* name;
  const char* instruction;
  int which;
  const char* pattern;  // in the instruction
  const char* replacement;
};

constexpr const char* kCopy = "cp.async.cg";
constexpr const char* kCommit = "cp.async.commit_group";
constexpr const char* kWait = "cp.async.wait_group";
constexpr const char* kBarrier = "bar.sync";
constexpr const char* kLoad = "ldmatrix.sync.aligned.m8n8.x4.shared";
constexpr const char* kLoadTransposed = "ldmatrix.sync.aligned.m8n8.x4.trans";
constexpr const char* kProduct = "mma.sync";
constexpr const char* kShuffle = "shfl.sync.bfly";

constexpr const char* kFour = R"(\{(%\w+), (%\w+), (%\w+), (%\w+)\})";
constexpr const char* kTwo = R"(\{(%\w+), (%\w+)\})";
constexpr const char* kAll = ".+";

constexpr PtxMutant kOfForward[] = {
    {"reads queries that have not landed", kWait, 0, "0;", "1;"},
    {"reads a stage that has not landed", kWait, 1, kAll, ""},
    {"never hands its copies in", kCommit, kEvery, kAll, ""},
    {"reads queries before others have copied theirs", kBarrier, 0, kAll, ""},
    {"overwrites a stage that others read", kBarrier, 1, kAll, ""},
    {"takes every key for one past the last row", kCopy, 2, R"(16, %\w+;)", "16, 0;"},
    {"copies values past the last row", kCopy, 5, R"(16, %\w+;)", "16, 16;"},
    {"loads rows of values for columns", kLoadTransposed, 0, R"(\.trans)", ""},
    {"loads columns of keys for rows", kLoad, 2, R"(x4\.)", "x4.trans."},
    {"swaps quarters of a fragment of queries", kLoad, 0, kFour, "{$1, $3, $2, $4}"},
    {"swaps halves of a fragment of keys", kProduct, 0, kTwo, "{$2, $1}"},
    {"adds a product to another's sum", kProduct, 16, R"(\{(%\w+), (%\w+), ([^}]*)\};)",
     "{$2, $1, $3};"},
    {"asks one lane for everybody's part of a row", kShuffle, 0, "bfly", "idx"},
};

constexpr PtxMutant kOfKeyGradients[] = {
    {"reads a stage that has not landed", kWait, 1, kAll, ""},
    {"reads keys before others have copied theirs", kBarrier, 0, kAll, ""},
    {"overwrites a stage that others read", kBarrier, 1, kAll, ""},
    {"loads rows of output gradients for columns", kLoadTransposed, 0, R"(\.trans)", ""},
    {"swaps quarters of a fragment of keys", kLoad, 0, kFour, "{$1, $3, $2, $4}"},
    {"swaps halves of a fragment of queries", kProduct, 0, kTwo, "{$2, $1}"},
};

constexpr PtxMutant kOfQueryGradients[] = {
    {"reads a stage that has not landed", kWait, 1, kAll, ""},
    {"overwrites a stage that others read", kBarrier, 1, kAll, ""},
    {"loads rows of keys for columns", kLoadTransposed, 0, R"(\.trans)", ""},
    {"swaps columns of a sum", kProduct, 0, kFour, "{$2, $1, $3, $4}"},
};

std::string read_ptx(const std::string& file) {
  std::ostringstream text;
  for (const std::string& path : ptx_files(distinct_architectures().front())) {
    if (path.find('/' + file + '.') != path.npos) {
      text << std::ifstream(path, std::ios::binary).rdbuf();
    }
  }
  return std::move(text).str();
}

// The text with the bug in every entry whose symbol has `kernel` in it; "" where there is nothing to
// rewrite.
std::string mutate(const std::string& text, const std::string& kernel, const PtxMutant& mutant) {
  const std::regex pattern(mutant.pattern);
  const std::string instruction = mutant.instruction;
  std::string mutated, line;
  bool is_inside = false;
  int seen = 0, rewritten = 0;
  for (std::istringstream lines(text); std::getline(lines, line);) {
    if (line.find(".entry ") != line.npos) {
      is_inside = line.find(kernel) != line.npos;
      seen = 0;
    }
    const size_t start = line.find_first_not_of("\t ");
    if (is_inside && start != line.npos &&
        line.compare(start, instruction.size(), instruction) == 0 &&
        (mutant.which == kEvery || seen++ == mutant.which)) {
      const std::string bug = std::regex_replace(line, pattern, mutant.replacement,
                                                 std::regex_constants::format_first_only);
      rewritten += bug != line ? 1 : 0;
      line = bug;
    }
    mutated += line + '\n';
  }
  return rewritten > 0 ? mutated : "";
}

// Several key tiles, rows past the end in the last one, heads that share keys.
const kerneltest::AttentionCase kCase = {
    .sizes = {.batch = 1, .tokens = 100, .heads = 2, .kv_heads = 1, .head_dim = 16, .scale = 0.5f}};

template <class Family>
std::string check_by_ptx(const Family& family, const std::string& file, const std::string& text) {
  Modules modules;
  modules.add(file, text);
  PtxKernels kernels(std::move(modules));
  const simt::ScopedSubstitute by_ptx(kernels);
  return kerneltest::check_attention(family, kCase);
}

template <class Family, size_t kCount>
void expect_caught(const Family& family, const std::string& file, const std::string& kernel,
                   const PtxMutant (&mutants)[kCount]) {
  if (const std::string reason = why_no_ptx(); !reason.empty()) GTEST_SKIP() << reason;
  const std::string text = read_ptx(file);
  EXPECT_EQ(check_by_ptx(family, file, text), "");
  for (const PtxMutant& mutant : mutants) {
    const std::string mutated = mutate(text, kernel, mutant);
    ASSERT_NE(mutated, "") << mutant.name << ": " << kernel << " has no such instruction any more";
    const std::string error = check_by_ptx(family, file, mutated);
    // By a wrong value: it ran as a GPU would run it, and was not refused.
    EXPECT_NE(error.find(" is "), error.npos) << "not caught: " << mutant.name << ": " << error;
    testing::Test::RecordProperty(mutant.name, error);  // how, for --gtest_output=xml
  }
}

const kerneltest::AttentionForward<bf16> kForward = {&kernels::attention<bf16>};
const kerneltest::AttentionBackward<bf16> kBackward = {&kernels::attention_backward<bf16>};

// Of the kernels for heads of 16: their symbols begin so.
TEST(PtxMutants, OfAttentionAreAllCaught) {
  expect_caught(kForward, "attention", "16attention_kernelILi16E", kOfForward);
}
TEST(PtxMutants, OfAttentionsKeyGradientsAreAllCaught) {
  expect_caught(kBackward, "attention_backward", "attention_dkv_kernelILi16E", kOfKeyGradients);
}
TEST(PtxMutants, OfAttentionsQueryGradientsAreAllCaught) {
  expect_caught(kBackward, "attention_backward", "attention_dq_kernelILi16E", kOfQueryGradients);
}

}  // namespace
}  // namespace pg::ptx
