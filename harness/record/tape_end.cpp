#include "harness/record/tape_end.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <vector>

#include "eval/code/coded_text.h"
#include "harness/recipe/recipe_identity.h"
#include "harness/record/progress_line.h"
#include "harness/record/run_folder.h"
#include "harness/record/tape.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/files/file_sha256.h"
#include "src/files/inner_file.h"
#include "src/text/json_object.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

namespace fs = std::filesystem;

// A step's line is about 230 bytes; the longest runs have some 100,000 steps.
constexpr uint64_t kMostTapeBytes = uint64_t{1} << 28;
constexpr uint64_t kMostFileBytes = uint64_t{1} << 31, kMostTextBytes = uint64_t{1} << 24;

std::string format_score(double bits_per_byte) { return fmt::format("{:.8f}", bits_per_byte); }

std::string read_text(const fs::path& file, uint64_t max_bytes) {
  const Bytes bytes = read_file(file, max_bytes);
  return {bytes.begin(), bytes.end()};
}

std::string write_end(const RunFolder& folder, const RunResult& result,
                      std::string_view submission) {
  const auto add_file = [](JsonObject& files, const fs::path& file) {
    std::error_code ignored;
    if (!fs::exists(file, ignored)) return;  // a log that could not be written
    files.add(file.filename().string(), hex(sha256_file(file)));
  };
  JsonObject files, optional_files;
  for (const fs::path& file : {folder.recipe(), folder.log(), folder.path / result.artifact_name,
                               folder.code(), folder.coded_text()}) {
    add_file(files, file);
  }
  files.add(folder.submission().filename().string(), hex(sha256(as_bytes(submission))));
  for (const fs::path& file : {folder.events(), folder.weights()}) add_file(optional_files, file);
  JsonObject end;
  end.add("event", "end").add("steps", result.steps).add("artifact", result.artifact_name);
  end.add("val_bpb", format_score(result.score.bits_per_byte)).add("exact", result.is_exact());
  end.add("coded_tokens", result.coded.tokens).add("text_bytes", result.coded.bytes);
  end.add("payload_bytes", result.coded.payload_bytes);
  return end.add("files", files).add("may_be_left_out", optional_files).line();
}

// What of a folder is not as its closing line says, in words.
class FolderCheck {
 public:
  FolderCheck(const fs::path& folder, const Tape& tape)
      : folder_(folder), tape_(tape), end_(*tape.end) {}

  std::vector<std::string> find_faults(const Sha256& artifact_sha256) {
    check_names();
    for (const auto& [name, sha256] : end_.files)
      check_file(name, sha256, /*may_be_missing=*/false);
    for (const auto& [name, sha256] : end_.optional_files) check_file(name, sha256, true);
    if (!faults_.empty()) return faults_;  // what lies in other files is not worth comparing
    if (end_.files.at(end_.artifact) != hex(artifact_sha256)) {
      add("it is of another artifact than the one that is audited");
    }
    check_recipe();
    check_steps();
    check_submission();
    check_coded_text(artifact_sha256);
    return faults_;
  }

 private:
  void add(std::string fault) { faults_.push_back(std::move(fault)); }

  void check_names() {
    const auto& identity = tape_.parts.front().identity;
    const auto seed = identity.find("seed");
    const std::string log =
        fmt::format("train_seed{}.log", seed == identity.end() ? "" : seed->second);
    for (const std::string& name :
         {std::string("recipe.toml"), log, end_.artifact, std::string(RunFolder::kCodeName),
          std::string("val.pgt"), std::string("submission.json")}) {
      if (!end_.files.contains(name))
        add(fmt::format("its closing line does not bind \"{}\"", name));
    }
  }

  void check_file(const std::string& name, const std::string& sha256, bool may_be_missing) {
    const InnerFile inner = is_inner_name(name) ? open_inner_file(folder_, name)
                                                : InnerFile{.state = InnerFileState::kBadPath};
    if (inner.state == InnerFileState::kMissing && may_be_missing) return;
    if (inner.state != InnerFileState::kOpen) {
      add(fmt::format("\"{}\" {}", name, inner.describe()));
    } else if (hex(sha256_file(inner.file, folder_ / name)) != sha256) {
      add(fmt::format("\"{}\" is not the file that the run wrote", name));
    }
  }

  // Of a resumed run the last part's, which may pack and score by other keys than those before it.
  void check_recipe() {
    Recipe recipe;
    try {
      apply_toml(recipe, read_text(folder_ / "recipe.toml", kMostTextBytes), "recipe.toml");
    } catch (const Error& error) {
      return add(error.what());
    }
    const auto& identity = tape_.parts.back().identity;
    const auto said = identity.find("recipe_sha256");
    if (said == identity.end() || said->second != hash_recipe(recipe)) {
      add(fmt::format("recipe.toml is not the recipe that line {} says", tape_.parts.back().line));
    }
  }

  void check_steps() {
    for (const std::string& gap : tape_.gaps) add(gap);
    if (!tape_.stop) return add("no line says why training stopped");
    if (tape_.stop->step != end_.steps) {
      add(fmt::format("training stops at step {}, the closing line is of {} steps",
                      tape_.stop->step, end_.steps));
    }
  }

  void check_submission() {
    std::vector<JsonNumber> numbers;
    std::string stated = "none";
    if (read_json_numbers(read_text(folder_ / "submission.json", kMostTextBytes), numbers)) {
      for (const auto& [key, value] : numbers) {
        if (key == "val_bpb") stated = format_score(value);
      }
    }
    if (stated != end_.val_bpb) {
      add(fmt::format("val_bpb is {} in submission.json and {} in the closing line", stated,
                      end_.val_bpb));
    }
  }

  void check_coded_text(const Sha256& artifact_sha256) {
    const Bytes file = read_file(folder_ / "val.pgt", kMostFileBytes);
    const Result<CodedText> text = parse_coded_text(file);
    if (!text) return add(fmt::format("\"val.pgt\": {}", text.error()));
    const auto payload_bytes = static_cast<int64_t>(text.value().payload.size());
    if (payload_bytes != end_.payload_bytes) {
      add(fmt::format("the payload of val.pgt is {} bytes, {} in the closing line", payload_bytes,
                      end_.payload_bytes));
    }
    if (text.value().artifact_sha256 != artifact_sha256)
      add("\"val.pgt\" is coded by another artifact");
    const std::string length_bpb =
        format_score(8.0 * static_cast<double>(payload_bytes) /
                     static_cast<double>(std::max<int64_t>(end_.text_bytes, 1)));
    if (end_.is_exact && length_bpb != end_.val_bpb) {
      add(fmt::format("val.pgt is {} bits a byte long, val_bpb is {}", length_bpb, end_.val_bpb));
    }
  }

  const fs::path& folder_;
  const Tape& tape_;
  const TapeEnd& end_;
  std::vector<std::string> faults_;
};

ProbeResult make_probe() {
  ProbeResult probe;
  probe.id = "V17";
  probe.name = "tape and what it binds";
  return probe;
}

ProbeResult judge_tape(const fs::path& folder, const Tape& tape, const Sha256& artifact_sha256) {
  ProbeResult probe = make_probe();
  probe.measures = {{"lines", static_cast<double>(tape.lines)},
                    {"steps", static_cast<double>(tape.steps.size())}};
  if (tape.format == 1) {
    probe.reason =
        "tape.jsonl is of tape_format 1: its lines are not chained, and nothing binds the files to "
        "it";
    return probe;
  }
  std::error_code ignored;
  if (!tape.end && !fs::exists(folder / "submission.json", ignored)) {
    probe.reason =
        "tape.jsonl has no closing line yet, and the folder no submission.json: the run has "
        "not ended; start it again";
    return probe;
  }
  std::vector<std::string> faults;
  if (tape.end) {
    faults = FolderCheck(folder, tape).find_faults(artifact_sha256);
  } else {
    faults = {fmt::format("it ends with line {}, which is no closing line", tape.lines)};
  }
  probe.verdict = faults.empty() ? Verdict::kPass : Verdict::kFail;
  probe.reason = faults.empty()
                     ? fmt::format("its {} lines are a chain and bind the {} files of the record",
                                   tape.lines, tape.end->files.size())
                     : fmt::format("tape.jsonl: {}", fmt::join(faults, "; "));
  return probe;
}

}  // namespace

void close_tape(const RunFolder& folder, const RunResult& result, std::string_view submission) {
  std::error_code ignored;
  if (!fs::exists(folder.tape(), ignored)) return;  // the log has warned of it
  std::string text = read_text(folder.tape(), kMostTapeBytes);
  Result<Tape> tape = read_tape(text);
  if (!tape || tape.value().format != kTapeFormat || tape.value().end) {
    const std::string why = tape.ok() ? "it was replaced" : tape.error();
    ProgressLine::for_stream(stderr).warn(
        fmt::format("the tape has no closing line, which would bind the record's files: it was "
                    "changed while the "
                    "run was on; \"{}\" {}",
                    escape_terminal(folder.tape().string()), escape_terminal(why)));
    return;
  }
  text += tape.value().chain.link(write_end(folder, result, submission)) + '\n';
  folder.write(folder.tape(), text);
}

ProbeResult probe_tape(const fs::path& folder, const Sha256& artifact_sha256) {
  ProbeResult probe = make_probe();
  constexpr const char* kTape = "tape.jsonl";
  const InnerFile inner = open_inner_file(folder, kTape);
  if (inner.state == InnerFileState::kMissing) {
    probe.reason = "no tape.jsonl beside the artifact";
    return probe;
  }
  probe.verdict = Verdict::kFail;
  if (inner.state != InnerFileState::kOpen) {
    probe.reason = fmt::format("{} {}", kTape, inner.describe());
    return probe;
  }
  try {
    const Result<Tape> tape = read_tape(read_text(folder / kTape, kMostTapeBytes));
    if (tape) return judge_tape(folder, tape.value(), artifact_sha256);
    probe.reason = fmt::format("tape.jsonl {}", tape.error());
  } catch (const Error& error) {  // a file that cannot be read
    probe.reason = error.what();
  }
  return probe;
}

}  // namespace pg
