#include "tests/verify/verify_fixture.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace pg {
namespace {

constexpr double kLn2 = 0.69314718055994530942;

std::string make_submission() {
  nlohmann::ordered_json json = {{"author", "A. Person"},
                                 {"github_id", "a-person"},
                                 {"name", "Nine layers and a wide MLP"},
                                 {"blurb", "wider MLP, longer warmdown"},
                                 {"date", "2026-03-24"},
                                 {"track", "10min_16mb"},
                                 {"val_bpb", 1.1194},
                                 {"val_bpb_std", 0.0001},
                                 {"bytes_total", 15900000},
                                 {"bytes_code", 50000}};
  for (const SeedWords& seed : kSeedWords) {
    json["seed_results"][seed.seed] = {{"val_bpb", seed.val_bpb}, {"artifact_bytes", 15900000}};
  }
  return json.dump(2) + "\n";
}

}  // namespace

std::string make_log(const LogWords& w) {
  const double loss = w.val_bpb * kLn2 * w.bytes_per_token;
  std::string text = fmt::format(
      "val_bpb:enabled tokenizer_kind=sentencepiece "
      "tokenizer_path=./data/tokenizers/fineweb.model\n"
      "val_loader:shards pattern=./data/fineweb_val_*.bin tokens:{}\n"
      "model_params:26000000\nworld_size:{} grad_accum_steps:1\nseed:{}\n"
      "step:0/20000 val_loss:6.9300 val_bpb:{:.4f} train_time:0ms step_avg:0.01ms\n",
      w.val_tokens, w.world_size, w.seed, 6.93 / (kLn2 * w.bytes_per_token));
  for (int step = 1000; step <= 6000; step += 1000) {
    text += fmt::format("step:{}/20000 train_loss:{:.4f} train_time:{}ms step_avg:90.00ms\n", step,
                        loss + 1.0 / step + std::stod(w.seed) * 1e-4, step * 90);
  }
  text += fmt::format(
      "stopping_early: wallclock_cap train_time:{}ms step:6600/20000\n"
      "Serialized model: 105000000 bytes\nCode size: {} bytes\nTotal submission size: {} bytes\n"
      "Serialized model int6+lzma: {} bytes\nTotal submission size int6+lzma: {} bytes\n",
      w.stop_ms, w.code_bytes, 105000000 + w.code_bytes, w.total_bytes - w.code_bytes,
      w.total_bytes);
  text += w.before_final;
  text += fmt::format(
      "final_int6_roundtrip val_loss:{:.4f} val_bpb:{:.4f} eval_time:9000ms\n"
      "final_int6_roundtrip_exact val_loss:{:.8f} val_bpb:{:.8f}\n",
      loss * 1.02, w.val_bpb * 1.02, loss * 1.02, w.val_bpb * 1.02);
  text += fmt::format(
      "final_int6_sliding_window val_loss:{:.4f} val_bpb:{:.4f} stride:64 eval_time:{:.0f}ms\n"
      "final_int6_sliding_window_exact val_loss:{:.8f} val_bpb:{:.8f}\n",
      loss, w.val_bpb, w.eval_s * 1000, loss, w.val_bpb);
  return text + w.behind;
}

VerifyTest::VerifyTest(const std::string& place) {
  std::string name = (std::filesystem::temp_directory_path() / "pg_verify_XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  root_ = name;
  path_ = root_ / place;
  std::filesystem::create_directories(path_);
  write("submission.json", make_submission());
  write("README.md", "# Nine layers and a wide MLP\n\nThree seeds, mean 1.1194.\n");
  write("train_gpt.py", std::string(50000, '#'));
  write_logs([](LogWords&) {});
}

VerifyTest::~VerifyTest() {
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

void VerifyTest::write(const std::string& name, const std::string& text) const {
  std::filesystem::create_directories((path_ / name).parent_path());
  std::ofstream(path_ / name, std::ios::binary) << text;
}

std::string VerifyTest::read(const std::string& name) const {
  std::ostringstream text;
  text << std::ifstream(path_ / name, std::ios::binary).rdbuf();
  return text.str();
}

void VerifyTest::replace(const std::string& name, const std::string& from,
                         const std::string& to) const {
  std::string text = read(name);
  const size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from << " is not in " << name;
  write(name, text.replace(at, from.size(), to));
}

void VerifyTest::set(const std::string& key, const std::string& json) const {
  nlohmann::ordered_json all = nlohmann::ordered_json::parse(read("submission.json"));
  if (json.empty()) {
    all.erase(key);
  } else {
    all[key] = nlohmann::ordered_json::parse(json);
  }
  write("submission.json", all.dump(2) + "\n");
}

std::vector<Finding> VerifyTest::verify(const VerifyOptions& options) const {
  return verify_folders({path_}, options).front().findings;
}

std::string VerifyTest::find(const std::string& code, const VerifyOptions& options) const {
  for (const Finding& finding : verify(options)) {
    if (finding.code == code) return std::string(severity_name(finding.severity));
  }
  return "";
}

}  // namespace pg
