#include "src/train/checkpoint.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>

#include "src/base/bytes.h"
#include "src/base/check.h"
#include "src/base/error.h"
#include "src/base/hash.h"
#include "src/files/write_file.h"
#include "src/plan/weight_layout.h"
#include "src/train/average.h"
#include "src/train/phases.h"
#include "src/train/rank_work.h"

namespace pg {
namespace {

static_assert(std::endian::native == std::endian::little,
              "flat arrays are stored as they lie in memory");

constexpr uint32_t kMagic = 0x4b434750;  // "PGCK"
// 2: the plain arrays, in the order of memory (weight_layout.h). 3: techniques' arrays behind them; only
// written where there are some. 4: the head ends with the steps of phases; only where there are some.
// 5: and with the stage of growing sequences; only where they grow.
constexpr uint32_t kPlainVersion = 2, kVersion = 3, kPhasesVersion = 4, kStagesVersion = 5;

constexpr size_t kHashBytes = sizeof(Sha256);

std::vector<float> read_floats(ByteReader& in) {
  const uint64_t count = in.u64();
  if (count > in.remaining() / sizeof(float)) {
    in.bytes(in.remaining() + 1);  // fails the reader
    return {};
  }
  const auto bytes = in.bytes(count * sizeof(float));
  std::vector<float> values(count);
  if (count > 0) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

uint32_t version_of(const CheckpointSizes& sizes) {
  if (sizes.has_length_stages) return kStagesVersion;
  if (sizes.has_phases) return kPhasesVersion;
  const bool is_plain =
      std::all_of(sizes.begin() + kPlainArrays, sizes.end(), [](size_t size) { return size == 0; });
  return is_plain ? kPlainVersion : kVersion;
}
bool is_known(uint32_t version) { return version >= kPlainVersion && version <= kStagesVersion; }
size_t count_arrays(uint32_t version) {
  return version == kPlainVersion ? kPlainArrays : kCheckpointArrays;
}

void write_head(ByteWriter& out, const CheckpointHead& head, uint32_t version) {
  PG_CHECK(head.step_times_s.size() <= kStepTimes, "the image has room for so many step times");
  out.u32(kMagic);
  out.u32(version);
  out.u64(head.identity);
  out.u64(static_cast<uint64_t>(head.steps));
  out.f64(head.train_s);
  out.f64(head.last_loss_nats);
  out.u64(static_cast<uint64_t>(head.average_progress));
  out.u64(head.step_times_s.size());
  for (size_t i = 0; i < kStepTimes; ++i) {
    out.f64(i < head.step_times_s.size() ? head.step_times_s[i] : 0.0);
  }
  if (version < kPhasesVersion) return;
  out.u64(static_cast<uint64_t>(head.phases.bags_ended));
  out.u64(static_cast<uint64_t>(head.phases.loops_began));
  out.f64(head.phases.bags_ended_s);
  if (version >= kStagesVersion) out.u64(static_cast<uint64_t>(head.phases.length_stage));
}

size_t head_bytes(uint32_t version) {
  ByteWriter head;
  write_head(head, {}, version);
  return head.buffer().size();
}

}  // namespace

CheckpointSizes checkpoint_sizes(const std::vector<ParamSpec>& specs, const TrainConfig& train,
                                 const OptimizerConfig& optimizer) {
  const WeightLayout layout(specs);
  const auto flat = static_cast<size_t>(layout.elements());
  const auto matrices = static_cast<size_t>(layout.matrix_elements());
  size_t neurons = 0;
  for (const ParamSpec& spec : specs) neurons += static_cast<size_t>(count_neurons(spec));
  return {
      {flat, flat, flat - matrices, train.average != Average::kNone ? flat : 0,
       optimizer.normuon != NorMuon::kOff ? neurons : 0, optimizer.ema_nesterov_beta > 0 ? flat : 0,
       static_cast<size_t>(Averager::count_kept(train)) * flat},
      has_phases(train),
      !train.seq_len_growth.empty()};
}

int64_t checkpoint_bytes(const CheckpointSizes& sizes) {
  const uint32_t version = version_of(sizes);
  size_t bytes = head_bytes(version) + kHashBytes;
  for (size_t i = 0; i < count_arrays(version); ++i) {
    bytes += sizeof(uint64_t) + sizes[i] * sizeof(float);
  }
  return static_cast<int64_t>(bytes);
}

CheckpointImage::CheckpointImage(const CheckpointSizes& sizes)
    : sizes_(sizes), bytes_(static_cast<size_t>(checkpoint_bytes(sizes))) {
  const uint32_t version = version_of(sizes);
  size_t end = head_bytes(version);
  for (size_t i = 0; i < count_arrays(version); ++i) {
    begins_[i] = end + sizeof(uint64_t);
    end = begins_[i] + sizes[i] * sizeof(float);
    const uint64_t count = sizes[i];
    std::memcpy(bytes_.data() + begins_[i] - sizeof count, &count, sizeof count);
  }
}

void CheckpointImage::set_head(const CheckpointHead& head) {
  ByteWriter out;
  write_head(out, head, version_of(sizes_));
  std::copy(out.buffer().begin(), out.buffer().end(), bytes_.begin());
}

void CheckpointImage::write(const std::filesystem::path& file) {
  const Sha256 hash = sha256(std::span(bytes_).first(bytes_.size() - kHashBytes));
  std::copy(hash.begin(), hash.end(), bytes_.end() - static_cast<int64_t>(kHashBytes));
  write_file_atomic(file, bytes_);
}

std::optional<Checkpoint> read_checkpoint(const std::filesystem::path& file, uint64_t identity) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  const Bytes bytes = read_file(file);
  const std::string where = "checkpoint \"" + file.string() + "\"";
  const std::string remedy = "; delete it to start from the beginning";
  if (bytes.size() < kHashBytes) throw Error(where + " is truncated" + remedy);
  const auto body = std::span(bytes).first(bytes.size() - kHashBytes);
  const Sha256 hash = sha256(body);
  if (std::memcmp(hash.data(), body.data() + body.size(), kHashBytes) != 0) {
    throw Error(where + " is damaged: its hash does not match" + remedy);
  }
  ByteReader in(body);
  const bool is_ours = in.u32() == kMagic;
  const uint32_t version = in.u32();
  if (!is_ours || !is_known(version)) {
    throw Error(where + " is of another program or version" + remedy);
  }
  Checkpoint c;
  CheckpointHead& head = c.head;
  head.identity = in.u64();
  if (head.identity != identity) {
    throw Error(where + " is of another recipe, seed or data set" + remedy +
                ", or give another output folder");
  }
  head.steps = static_cast<int64_t>(in.u64());
  head.train_s = in.f64();
  head.last_loss_nats = in.f64();
  head.average_progress = static_cast<int64_t>(in.u64());
  const uint64_t step_times = in.u64();
  for (size_t i = 0; i < kStepTimes; ++i) {
    const double seconds = in.f64();
    if (i < step_times) head.step_times_s.push_back(seconds);
  }
  if (version >= kPhasesVersion) {
    head.phases.bags_ended = static_cast<int64_t>(in.u64());
    head.phases.loops_began = static_cast<int64_t>(in.u64());
    head.phases.bags_ended_s = in.f64();
    if (version >= kStagesVersion) head.phases.length_stage = static_cast<int64_t>(in.u64());
  }
  for (size_t i = 0; i < count_arrays(version); ++i) c.arrays[i] = read_floats(in);
  if (!in.ok() || in.remaining() != 0) throw Error(where + " is damaged" + remedy);
  return c;
}

std::optional<int64_t> peek_checkpoint_steps(const std::filesystem::path& file) {
  Bytes head(2 * sizeof(uint32_t) + 2 * sizeof(uint64_t));  // as write_head begins
  std::ifstream stream(file, std::ios::binary);
  stream.read(reinterpret_cast<char*>(head.data()), static_cast<std::streamsize>(head.size()));
  if (!stream) return std::nullopt;
  ByteReader in(head);
  if (in.u32() != kMagic) return std::nullopt;
  const uint32_t version = in.u32();
  if (!is_known(version)) return std::nullopt;
  in.u64();  // identity
  return static_cast<int64_t>(in.u64());
}

}  // namespace pg
