#include "src/train/checkpoint.h"

#include <bit>
#include <cstring>
#include <fstream>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/hash.h"
#include "src/files/write_file.h"
#include "src/train/schedule.h"

namespace pg {
namespace {

static_assert(std::endian::native == std::endian::little,
              "flat arrays are stored as they lie in memory");

constexpr uint32_t kMagic = 0x4b434750;  // "PGCK"
constexpr uint32_t kVersion = 1;

template <class T>
void write_array(ByteWriter& out, const std::vector<T>& values) {
  out.u64(values.size());
  out.bytes({reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(T)});
}

template <class T>
std::vector<T> read_array(ByteReader& in) {
  const uint64_t count = in.u64();
  if (count > in.remaining() / sizeof(T)) {
    in.bytes(in.remaining() + 1);  // fails the reader
    return {};
  }
  const auto bytes = in.bytes(count * sizeof(T));
  std::vector<T> values(count);
  if (count > 0) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

}  // namespace

int64_t most_checkpoint_bytes(int64_t flat_elements, bool average) {
  constexpr size_t kHead = 2 * sizeof(uint32_t) + 5 * sizeof(uint64_t);
  constexpr size_t kArrays = 4 * sizeof(uint64_t) + StopPredictor::kWindow * sizeof(double);
  // Masters, the optimizer's two moments and the average.
  return flat_elements * static_cast<int64_t>(sizeof(float)) * (average ? 4 : 3) +
         static_cast<int64_t>(kHead + kArrays + sizeof(Sha256));
}

void write_checkpoint(const std::filesystem::path& file, const Checkpoint& c) {
  ByteWriter out;
  out.u32(kMagic);
  out.u32(kVersion);
  out.u64(c.identity);
  out.u64(static_cast<uint64_t>(c.steps));
  out.f64(c.train_s);
  out.f64(c.last_loss_nats);
  out.u64(static_cast<uint64_t>(c.swa_snapshots));
  write_array(out, c.masters);
  write_array(out, c.optimizer);
  write_array(out, c.average);
  write_array(out, c.step_times_s);
  out.bytes(sha256(out.buffer()));
  write_file_atomic(file, out.buffer());
}

std::optional<Checkpoint> read_checkpoint(const std::filesystem::path& file, uint64_t identity) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  const Bytes bytes = read_file(file);
  const std::string where = "checkpoint \"" + file.string() + "\"";
  const std::string remedy = "; delete it to start from the beginning";
  constexpr size_t kHashBytes = sizeof(Sha256);
  if (bytes.size() < kHashBytes) throw Error(where + " is truncated" + remedy);
  const auto body = std::span(bytes).first(bytes.size() - kHashBytes);
  const Sha256 hash = sha256(body);
  if (std::memcmp(hash.data(), body.data() + body.size(), kHashBytes) != 0) {
    throw Error(where + " is damaged: its hash does not match" + remedy);
  }
  ByteReader in(body);
  if (in.u32() != kMagic || in.u32() != kVersion) {
    throw Error(where + " is of another program or version" + remedy);
  }
  Checkpoint c;
  c.identity = in.u64();
  if (c.identity != identity) {
    throw Error(where + " is of another recipe, seed or data set" + remedy +
                ", or give another output folder");
  }
  c.steps = static_cast<int64_t>(in.u64());
  c.train_s = in.f64();
  c.last_loss_nats = in.f64();
  c.swa_snapshots = static_cast<int64_t>(in.u64());
  c.masters = read_array<float>(in);
  c.optimizer = read_array<float>(in);
  c.average = read_array<float>(in);
  c.step_times_s = read_array<double>(in);
  if (!in.ok() || in.remaining() != 0) throw Error(where + " is damaged" + remedy);
  return c;
}

std::optional<int64_t> peek_checkpoint_steps(const std::filesystem::path& file) {
  Bytes head(2 * sizeof(uint32_t) + 2 * sizeof(uint64_t));  // as write_checkpoint begins
  std::ifstream stream(file, std::ios::binary);
  stream.read(reinterpret_cast<char*>(head.data()), static_cast<std::streamsize>(head.size()));
  if (!stream) return std::nullopt;
  ByteReader in(head);
  if (in.u32() != kMagic || in.u32() != kVersion) return std::nullopt;
  in.u64();  // identity
  return static_cast<int64_t>(in.u64());
}

}  // namespace pg
