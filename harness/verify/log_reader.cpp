#include "harness/verify/log_reader.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string_view>
#include <vector>

#include "harness/verify/log_dialects.h"
#include "harness/verify/text_scan.h"
#include "src/base/check.h"

namespace pg {
namespace {

constexpr char kEscape = '\x1b';

// Bytes in, lines out. UTF-16 becomes ASCII with '?' for what is none: all that is looked for is.
class LineSplitter {
 public:
  explicit LineSplitter(LogFacts& facts) : facts_(facts), parser_(facts) {}

  void feed(std::string_view bytes) {
    for (const char c : bytes) feed_byte(static_cast<uint8_t>(c));
  }

  void finish() {
    if (head_size_ > 0 && !is_head_done_) finish_head();
    if (had_return_) end_segment();
    if (had_any_) {
      ++facts_.lines;
      end_segment();
    }
  }

 private:
  // The first three bytes tell the encoding.
  void feed_byte(uint8_t byte) {
    if (is_head_done_) return decode(byte);
    head_[head_size_++] = byte;
    if (head_size_ == 3) finish_head();
  }

  void finish_head() {
    is_head_done_ = true;
    size_t skipped = 0;
    if (head_size_ >= 2 &&
        ((head_[0] == 0xff && head_[1] == 0xfe) || (head_[0] == 0xfe && head_[1] == 0xff))) {
      facts_.is_utf16 = facts_.has_byte_order_mark = true;
      is_big_endian_ = head_[0] == 0xfe;
      skipped = 2;
    } else if (head_size_ == 3 && head_[0] == 0xef && head_[1] == 0xbb && head_[2] == 0xbf) {
      facts_.has_byte_order_mark = true;
      skipped = 3;
    } else if (head_size_ >= 2 && (head_[0] == 0) != (head_[1] == 0)) {  // without its mark
      facts_.is_utf16 = true;
      is_big_endian_ = head_[0] == 0;
    }
    for (size_t i = skipped; i < head_size_; ++i) decode(head_[i]);
  }

  void decode(uint8_t byte) {
    if (!facts_.is_utf16) return feed_char(static_cast<char>(byte));
    if (!has_half_) {
      half_ = byte;
      has_half_ = true;
      return;
    }
    has_half_ = false;
    const unsigned high = is_big_endian_ ? half_ : byte, low = is_big_endian_ ? byte : half_;
    feed_char(high == 0 && low < 0x80 ? static_cast<char>(low) : '?');
  }

  void feed_char(char c) {
    if (c == '\n') {
      had_return_ = false;  // of a line that ends in both
      ++facts_.lines;
      end_segment();
      line_ = facts_.lines + 1;
      had_any_ = false;
      return;
    }
    had_any_ = true;
    if (had_return_) {
      ++facts_.bare_returns;
      had_return_ = false;
      end_segment();
    }
    if (c == '\r') {
      had_return_ = true;
      return;
    }
    if (c == kEscape) ++facts_.escapes;
    if (c != ' ' && c != '\t' && c != '\0') facts_.is_blank = false;
    if (segment_.size() < kMostLineBytes) segment_ += c;
  }

  void end_segment() {
    if (!segment_.empty()) parser_.parse(line_, segment_);
    segment_.clear();
  }

  LogFacts& facts_;
  LogParser parser_;
  std::string segment_;
  int64_t line_ = 1;
  uint8_t head_[3] = {};
  size_t head_size_ = 0;
  uint8_t half_ = 0;
  bool is_head_done_ = false, is_big_endian_ = false, has_half_ = false;
  bool had_return_ = false, had_any_ = false;
};

}  // namespace

LogFacts read_log(const RecordFolder& folder, const std::string& path, int64_t most_bytes) {
  LogFacts facts;
  facts.path = path;
  const FileDescriptor file = folder.open_file(path);
  if (!file.valid()) return facts;
  LineSplitter lines(facts);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash(EVP_MD_CTX_new(),
                                                                     &EVP_MD_CTX_free);
  PG_CHECK(hash && EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr) == 1,
           "libcrypto has no SHA-256");
  std::vector<char> buffer(size_t{1} << 18);
  for (;;) {
    const ssize_t n = ::read(file.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    if (facts.bytes + n > most_bytes) {
      facts.is_cut = true;
      break;
    }
    facts.bytes += n;
    const std::string_view bytes(buffer.data(), static_cast<size_t>(n));
    EVP_DigestUpdate(hash.get(), bytes.data(), bytes.size());
    lines.feed(bytes);
  }
  lines.finish();
  unsigned int digest_bytes = 0;
  EVP_DigestFinal_ex(hash.get(), facts.sha256.data(), &digest_bytes);
  return facts;
}

LogFacts read_log_text(std::string_view text) {
  LogFacts facts;
  facts.bytes = static_cast<int64_t>(text.size());
  LineSplitter lines(facts);
  lines.feed(text);
  lines.finish();
  return facts;
}

}  // namespace pg
