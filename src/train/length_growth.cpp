#include "src/train/length_growth.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>
#include <system_error>

#include "src/base/error.h"

namespace pg {
namespace {

constexpr const char* kForm = "give stages as \"1024@0.1,2048@0.7,3072@1\"";

// All of the text as a number.
template <class Number>
bool read_number(std::string_view text, Number& number) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end;
}

LengthStage read_stage(std::string_view text, const TrainConfig& train) {
  const size_t at = text.find('@');
  LengthStage stage;
  const bool is_read = at != std::string_view::npos &&
                       read_number(text.substr(0, at), stage.seq_len) &&
                       read_number(text.substr(at + 1), stage.until);
  if (is_read && stage.seq_len > 0 && stage.until > 0 && stage.until <= 1) return stage;
  throw Error(
      fmt::format("train.seq_len_growth is \"{}\": \"{}\" is no length and part of training that "
                  "it ends at; {}",
                  train.seq_len_growth, text, kForm));
}

}  // namespace

std::vector<LengthStage> list_length_stages(const TrainConfig& train) {
  if (train.seq_len_growth.empty()) return {{train.seq_len, 1.0}};
  std::vector<LengthStage> stages;
  std::string_view rest = train.seq_len_growth;
  for (size_t comma = 0; comma != std::string_view::npos;) {
    comma = rest.find(',');
    stages.push_back(read_stage(rest.substr(0, comma), train));
    if (comma != std::string_view::npos) rest.remove_prefix(comma + 1);
  }
  for (size_t i = 1; i < stages.size(); ++i) {
    if (stages[i].seq_len > stages[i - 1].seq_len && stages[i].until > stages[i - 1].until)
      continue;
    throw Error(
        fmt::format("train.seq_len_growth is \"{}\": a stage is no longer or ends no later than "
                    "the one before; {}",
                    train.seq_len_growth, kForm));
  }
  if (stages.back().seq_len != train.seq_len || stages.back().until != 1) {
    throw Error(
        fmt::format("train.seq_len_growth is \"{}\", but training ends with the sequences of "
                    "train.seq_len; let "
                    "the last stage be \"{}@1\"",
                    train.seq_len_growth, train.seq_len));
  }
  return stages;
}

}  // namespace pg
