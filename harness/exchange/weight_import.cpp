#include "harness/exchange/weight_import.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>

#include "harness/exchange/safetensors_header.h"
#include "src/model/model.h"
#include "src/text/nearest_name.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

constexpr int64_t kWhole = -1;

// "qo_bank[3]": a tensor and a row along its first axis, or all of it.
struct Source {
  std::string tensor;
  int64_t row = kWhole;
  std::string shown() const { return row == kWhole ? tensor : fmt::format("{}[{}]", tensor, row); }
};

std::string replace(std::string text, std::string_view mark, int64_t number) {
  for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at)) {
    text.replace(at, mark.size(), fmt::format("{}", number));
  }
  return text;
}

// Of "name[3]" and "name[layers+3]"; nothing where the brackets hold anything else.
std::optional<Source> read_source(const std::string& text, int64_t layers) {
  if (!text.ends_with(']')) return Source{text, kWhole};
  const size_t open = text.rfind('[');
  if (open == std::string::npos) return std::nullopt;
  std::string_view row = std::string_view(text).substr(open + 1, text.size() - open - 2);
  constexpr std::string_view kLayers = "layers+";
  const bool is_behind = row.starts_with(kLayers);
  if (is_behind) row.remove_prefix(kLayers.size());
  int64_t number = 0;
  const auto [end, error] = std::from_chars(row.data(), row.data() + row.size(), number);
  constexpr int64_t kMostRows = 1'000'000;
  if (error != std::errc() || end != row.data() + row.size() || number < 0 || number > kMostRows) {
    return std::nullopt;
  }
  return Source{text.substr(0, open), number + (is_behind ? layers : 0)};
}

std::string format_shape(std::span<const uint64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

class Import {
 public:
  Import(const SafetensorsHeader& header, const ModelConfig& config, const WeightMap& map)
      : header_(header), config_(config), map_(map) {}

  Result<std::vector<HostTensor>> run() {
    std::vector<HostTensor> tensors;
    for (const ParamSpec& spec : list_params(config_)) {
      Result<std::vector<float>> values = find_values(spec);
      if (!values.ok()) return Failure{values.error()};
      tensors.push_back({spec, std::move(values.value())});
    }
    if (const std::string left = describe_left(); !left.empty()) return Failure{left};
    return tensors;
  }

 private:
  Result<std::vector<float>> find_values(const ParamSpec& spec) {
    const auto fits = [&](const WeightMap::Rule& rule) {
      return match_pattern(rule.ours, spec.name) >= 0;
    };
    const auto rule = std::ranges::find_if(map_.rules, fits);
    if (rule == map_.rules.end()) {
      return Failure{fmt::format(
          "the map has no rule for the model's \"{}\"; add one to its [tensors], or set the key of "
          "[model] that leaves it out",
          spec.name)};
    }
    const int64_t number = match_pattern(rule->ours, spec.name);
    const int64_t rank = ranks_[rule->ours]++;
    std::vector<Source> sources;
    for (const std::string& pattern : rule->theirs) {
      const std::string text = replace(replace(pattern, "{n}", number), "{rank}", rank);
      const std::optional<Source> source = read_source(text, config_.layers);
      if (!source) {
        return Failure{
            fmt::format("the map's \"{}\" is no tensor or row of one; write \"x\", \"x[{{n}}]\" "
                        "or \"x[layers+{{n}}]\"",
                        escape_terminal(pattern))};
      }
      expected_.push_back(source->tensor);
      if (header_.entries.contains(source->tensor)) return take(*source, spec);
      sources.push_back(*source);
    }
    return Failure{describe_missing(spec, sources)};
  }

  Result<std::vector<float>> take(const Source& source, const ParamSpec& spec) {
    const SafetensorsEntry& entry = header_.entries.at(source.tensor);
    std::span<const uint64_t> shape = entry.shape;
    const uint64_t begin = entry.data_offsets[0], bytes = entry.data_offsets[1] - begin;
    std::span<const uint8_t> data = header_.data.subspan(begin, bytes);
    if (source.row != kWhole) {
      const auto row = static_cast<uint64_t>(source.row);
      if (shape.empty() || row >= shape[0]) {
        return Failure{fmt::format(
            "tensor \"{}\" has the shape {}, and the model's \"{}\" is its row {}",
            escape_terminal(source.tensor), format_shape(shape), spec.name, source.row)};
      }
      data = data.subspan(row * (bytes / shape[0]), bytes / shape[0]);
      shape = shape.subspan(1);
    }
    if (!has_param_shape(shape, spec)) {
      return Failure{fmt::format(
          "tensor \"{}\" has the shape {}; the model's \"{}\" needs [{}, {}]; other sizes are keys "
          "of "
          "[model] in the map or --set model.KEY=VALUE",
          escape_terminal(source.shown()), format_shape(shape), spec.name, spec.rows, spec.cols)};
    }
    std::set<int64_t>& used = used_[source.tensor];
    if (!used.insert(source.row).second || (used.contains(kWhole) && used.size() > 1)) {
      return Failure{fmt::format("the map uses tensor \"{}\" twice, for \"{}\" the second time",
                                 escape_terminal(source.shown()), spec.name)};
    }
    return read_safetensors_values(entry.dtype, data);
  }

  std::string describe_missing(const ParamSpec& spec, const std::vector<Source>& sources) const {
    std::vector<std::string> wanted, there;
    for (const Source& source : sources) {
      wanted.push_back(fmt::format("\"{}\"", escape_terminal(source.tensor)));
    }
    for (const auto& [name, entry] : header_.entries) there.push_back(name);
    std::string nearest;
    size_t least = SIZE_MAX;
    for (const Source& source : sources) {
      const std::string near = find_nearest_name(source.tensor, there);
      const size_t distance = edit_distance(source.tensor, near);
      if (near.empty() || distance >= least) continue;
      nearest = near;
      least = distance;
    }
    return fmt::format(
        "the model's \"{}\" is {} by the map, which the file does not have{}", spec.name,
        fmt::join(wanted, " or "),
        nearest.empty() ? "" : fmt::format("; it has \"{}\"", escape_terminal(nearest)));
  }

  // The first tensor that is not used whole, "" where each is.
  std::string describe_left() const {
    for (const auto& [name, entry] : header_.entries) {
      const auto is_left_out = [&, &name = name](const std::string& pattern) {
        return match_pattern(pattern, name) >= 0;
      };
      const auto used = used_.find(name);
      if (used == used_.end()) {
        if (std::ranges::any_of(map_.unused, is_left_out)) continue;
        const std::string nearest = find_nearest_name(name, expected_);
        return fmt::format(
            "tensor \"{}\" {} has no place in the model{}; set the keys of [model] that it belongs "
            "to, "
            "or list it under unused in the map",
            escape_terminal(name), format_shape(entry.shape),
            nearest.empty() ? "" : fmt::format(", which has \"{}\"", escape_terminal(nearest)));
      }
      if (used->second.contains(kWhole) || used->second.size() == entry.shape[0]) continue;
      return fmt::format(
          "tensor \"{}\" {} has {} rows, of which the model uses {}; check the sizes in [model]",
          escape_terminal(name), format_shape(entry.shape), entry.shape[0], used->second.size());
    }
    return {};
  }

  const SafetensorsHeader& header_;
  const ModelConfig& config_;
  const WeightMap& map_;
  std::map<std::string, int64_t> ranks_;           // of each rule, how often it matched
  std::map<std::string, std::set<int64_t>> used_;  // rows of each of their tensors
  std::vector<std::string> expected_;              // their names that were looked for
};

}  // namespace

Result<std::vector<HostTensor>> import_tensors(std::span<const uint8_t> file,
                                               const ModelConfig& config, const WeightMap& map) {
  const Result<SafetensorsHeader> header = parse_safetensors_header(file);
  if (!header.ok()) return Failure{header.error()};
  return Import(header.value(), config, map).run();
}

}  // namespace pg
