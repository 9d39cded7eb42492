#include "harness/command/data_checks.h"

#include <iterator>
#include <utility>

#include "harness/command/recipe_path.h"
#include "harness/record/progress_line.h"
#include "harness/record/run_result.h"
#include "src/data/corpus/byte_file_checks.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

void append(DataFaults& faults, DataFaults more) {
  std::move(more.begin(), more.end(), std::back_inserter(faults));
}

void warn_of(const DataFaults& faults) {
  ProgressLine progress = ProgressLine::for_stream(stderr);
  for (const std::string& fault : faults) progress.warn(escape_terminal(fault));
}

DataFaults find_faults_of(const std::string& shards, const Tokenizer& tokenizer, TextUse use) {
  return open_recipe_path(shards, [&](const std::string& path) {
    DataFaults faults = find_shard_faults(path, tokenizer.sha256());
    append(faults, find_transform_faults(path, tokenizer));
    append(faults, find_split_faults(path, use));
    return faults;
  });
}

DataFaults find_byte_file_faults(const TokenStream& val, const Tokenizer& tokenizer) {
  ByteFileFindings findings = check_byte_files(val, tokenizer);
  if (!findings.note.empty()) warn_of({findings.note});
  return std::move(findings.faults);
}

}  // namespace

DataFaults check_run_files(const DataConfig& data, const Tokenizer& tokenizer) {
  DataFaults faults = find_faults_of(data.train_shards, tokenizer, TextUse::kTrained);
  append(faults, find_faults_of(data.val_shards, tokenizer, TextUse::kScored));
  return refuse_faults(std::move(faults), data.force);
}

TokenFaults check_run_tokens(const DataConfig& data, const Tokenizer& tokenizer,
                             const TokenStream& train, const TokenStream& val) {
  DataFaults faults = find_overlap_faults(train, val);  // the worst: said first
  const bool is_val_in_train = !faults.empty();
  append(faults, find_content_faults(train));
  append(faults, find_content_faults(val));
  append(faults, find_byte_faults(val, tokenizer));
  append(faults, find_byte_file_faults(val, tokenizer));
  append(faults, find_tokenizer_faults(val, tokenizer));
  return {refuse_faults(std::move(faults), data.force), is_val_in_train};
}

void check_scored_files(const DataConfig& data, const Tokenizer& tokenizer) {
  warn_of(refuse_faults(find_faults_of(data.val_shards, tokenizer, TextUse::kScored), data.force));
}

void check_scored_tokens(const DataConfig& data, const Tokenizer& tokenizer,
                         const TokenStream& val) {
  DataFaults faults = find_content_faults(val);
  append(faults, find_byte_faults(val, tokenizer));
  append(faults, find_byte_file_faults(val, tokenizer));
  append(faults, find_tokenizer_faults(val, tokenizer));
  warn_of(refuse_faults(std::move(faults), data.force));
  if (is_part_of_manifest(val)) warn_of({kScoredPartWarning});
}

}  // namespace pg
