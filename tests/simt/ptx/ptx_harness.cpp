#include "tests/simt/ptx/ptx_harness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

namespace pg::ptx {
namespace {

namespace fs = std::filesystem;

// Text of all files of an architecture, without its name.
std::string text_without_target(const std::string& architecture) {
  std::string all;
  for (const std::string& path : ptx_files(architecture)) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    std::string whole = std::move(text).str();
    const size_t target = whole.find(".target");
    whole.erase(target, whole.find('\n', target) - target);
    all += whole;
  }
  return all;
}

// With PG_KERNELS_BY_PTX=compute_80 every test of the program runs the product's kernels by PTX, and
// the entries that none has launched are told at the end: scripts/ptx_sweep.sh.
class WholeProgramByPtx : public testing::Environment {
 public:
  void SetUp() override {
    const char* const architecture = std::getenv("PG_KERNELS_BY_PTX");
    if (architecture == nullptr) return;
    if (const std::string reason = why_no_ptx(); !reason.empty()) GTEST_SKIP() << reason;
    ASSERT_FALSE(ptx_files(architecture).empty()) << "no PTX of " << architecture;
    const std::vector<std::string> distinct = distinct_architectures();
    if (std::find(distinct.begin(), distinct.end(), architecture) == distinct.end()) {
      GTEST_SKIP() << "its PTX is that of an architecture before it, in every file";
    }
    kernels_ = &product_kernels(architecture);
    substitute_ = std::make_unique<simt::ScopedSubstitute>(*kernels_);
  }
  void TearDown() override {
    if (kernels_ == nullptr) return;
    substitute_.reset();
    int64_t launches = 0;
    for (const auto& [name, count] : kernels_->launches()) launches += count;
    const std::vector<std::string> entries = kernels_->modules().entries();
    std::printf("ptx: %lld launches of %zu entries of %zu\n", static_cast<long long>(launches),
                kernels_->launches().size(), entries.size());
    for (const std::string& name : entries) {
      if (!kernels_->launches().contains(name)) std::printf("ptx: not run: %s\n", name.c_str());
    }
  }

 private:
  PtxKernels* kernels_ = nullptr;
  std::unique_ptr<simt::ScopedSubstitute> substitute_;
};

[[maybe_unused]] const testing::Environment* const whole_program =
    testing::AddGlobalTestEnvironment(new WholeProgramByPtx);

}  // namespace

std::string why_no_ptx() {
  return architectures().empty() ? "the build has no CUDA kernels: no nvcc, or PG_CUDA is OFF" : "";
}

std::vector<std::string> ptx_files(const std::string& architecture) {
  std::vector<std::string> paths;
  const fs::path folder = PG_PTX_DIR;
  if (folder.empty() || !fs::exists(folder)) return paths;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().ends_with('.' + architecture + ".ptx")) {
      paths.push_back(entry.path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string ptx_of_mutants(const std::string& family) {
  const fs::path path = fs::path(PG_PTX_DIR) / "mutants" / (family + ".ptx");
  return fs::exists(path) ? path.string() : "";
}

std::vector<std::string> architectures() {
  std::vector<std::string> found;
  for (const char* architecture : {"compute_80", "compute_90", "compute_100"}) {
    if (!ptx_files(architecture).empty()) found.emplace_back(architecture);
  }
  return found;
}

std::vector<std::string> distinct_architectures() {
  static const std::vector<std::string> distinct = [] {
    std::vector<std::string> names, texts;
    for (const std::string& architecture : architectures()) {
      std::string text = text_without_target(architecture);
      if (std::find(texts.begin(), texts.end(), text) != texts.end()) continue;
      names.push_back(architecture);
      texts.push_back(std::move(text));
    }
    return names;
  }();
  return distinct;
}

PtxKernels& product_kernels(const std::string& architecture) {
  static std::map<std::string, std::unique_ptr<PtxKernels>> kernels;
  std::unique_ptr<PtxKernels>& found = kernels[architecture];
  if (found == nullptr) found = std::make_unique<PtxKernels>(Modules(ptx_files(architecture)));
  return *found;
}

}  // namespace pg::ptx
