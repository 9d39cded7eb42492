#include "src/base/bytes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>

#include "src/base/error.h"
#include "src/base/file_descriptor.h"
#include "src/base/system_error.h"

namespace pg {

Bytes read_file(const std::filesystem::path& path, uint64_t max_bytes) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) {
    throw Error("cannot open \"" + path.string() + "\": " + describe_system_error(errno));
  }
  struct stat info = {};
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    throw Error("not a regular file: \"" + path.string() +
                "\"; give a file, not a folder or device");
  }
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size > max_bytes) {
    throw Error("file too large: \"" + path.string() + "\" has " + std::to_string(size) +
                " bytes, the limit is " + std::to_string(max_bytes));
  }
  Bytes bytes(size);
  uint64_t done = 0;
  while (done < size) {
    const ssize_t n = ::read(file.get(), bytes.data() + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      throw Error("cannot read \"" + path.string() +
                  "\": " + describe_system_error(errno, "check the disk"));
    }
    if (n == 0) break;
    done += static_cast<uint64_t>(n);
  }
  bytes.resize(done);  // the file may have shrunk meanwhile
  return bytes;
}

std::string read_text_file(const std::filesystem::path& path) {
  const Bytes bytes = read_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void ByteWriter::f32(float v) { u32(std::bit_cast<uint32_t>(v)); }
void ByteWriter::f64(double v) { u64(std::bit_cast<uint64_t>(v)); }

void ByteWriter::string(std::string_view v) {
  u32(static_cast<uint32_t>(v.size()));
  bytes(as_bytes(v));
}

float ByteReader::f32() { return std::bit_cast<float>(u32()); }
double ByteReader::f64() { return std::bit_cast<double>(u64()); }

std::span<const uint8_t> ByteReader::bytes(uint64_t count) {
  if (!ok_ || count > remaining()) {
    ok_ = false;
    return {};
  }
  const auto part = bytes_.subspan(position_, count);
  position_ += count;
  return part;
}

std::string ByteReader::string(uint32_t max_bytes) {
  const uint32_t size = u32();
  if (size > max_bytes) ok_ = false;
  const auto part = bytes(size);
  return {reinterpret_cast<const char*>(part.data()), part.size()};
}

uint64_t ByteReader::little_endian(int n) {
  const auto part = bytes(static_cast<uint64_t>(n));
  uint64_t v = 0;
  for (size_t i = 0; i < part.size(); ++i) v |= static_cast<uint64_t>(part[i]) << (8 * i);
  return v;
}

}  // namespace pg
