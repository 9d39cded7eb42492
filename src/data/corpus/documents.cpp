// Text is checked where it enters: SentencePiece would silently replace invalid UTF-8, and the byte
// count, the denominator of the score, would no longer be that of the text.
#include "src/data/corpus/documents.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/hash.h"
#include "src/base/system_error.h"
#include "src/text/file_kind.h"
#include "src/text/json_object.h"
#include "src/text/utf8.h"

namespace pg {
namespace {

constexpr size_t kFilePieceBytes = size_t{1}
                                   << 20;  // bounds the memory that encoding one document takes
constexpr size_t kLoneFilePieceBytes = size_t{1} << 14;  // about the length of a long web page

constexpr size_t kGaplessPieces =
    4;  // pieces after which any line's end will do, for text without blank lines

constexpr size_t kBufferBytes = size_t{1} << 16;

std::span<const uint8_t> head_of(const std::vector<char>& buffer) {
  return as_bytes({buffer.data(), std::min(buffer.size(), kHeadBytes)});
}

[[noreturn]] void fail_unknown(const std::filesystem::path& input) {
  if (const std::string_view foreign = describe_foreign_file_at(input); !foreign.empty()) {
    throw Error(fmt::format("unknown kind of corpus: \"{}\" is {}", input.string(), foreign));
  }
  throw Error(
      fmt::format("unknown kind of corpus: \"{}\"; give a folder of .txt files, a .txt file or a "
                  ".jsonl file",
                  input.string()));
}

// Of a stream, which leaves the reason in errno.
[[noreturn]] void fail_to_read(const std::filesystem::path& path, int error) {
  throw Error(fmt::format("cannot read corpus file \"{}\": {}", path.string(),
                          describe_system_error(error, "check the disk and permissions")));
}

}  // namespace

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
}

DocumentReader::DocumentReader(const std::filesystem::path& input) : input_(input) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(input, error);
  const std::string extension = lower_extension(input);
  if (!std::filesystem::exists(status)) {
    throw Error(fmt::format("cannot find corpus: \"{}\" ({}); check the path", input.string(),
                            error ? error.message() : "no such file"));
  }
  if (std::filesystem::is_directory(status)) {
    CorpusFiles folder = list_corpus_folder(input);
    files_ = std::move(folder.files);
    left_out_ = std::move(folder.left_out);
    piece_bytes_ = kFilePieceBytes;
    if (files_.empty()) {
      throw Error(
          fmt::format("no prose in folder: \"{}\" holds no .txt file; put documents there, one a "
                      "file, or give a .txt or .jsonl file",
                      input.string()));
    }
  } else if (extension == ".jsonl" || extension == ".txt") {
    files_ = {input};
    piece_bytes_ = kLoneFilePieceBytes;
    is_jsonl_ = extension == ".jsonl";
  } else {
    fail_unknown(input);
  }
  for (const std::filesystem::path& file : files_) {
    const uintmax_t bytes = std::filesystem::file_size(file, error);
    if (!error) input_bytes_ += static_cast<int64_t>(bytes);
  }
}

bool DocumentReader::next(std::string& text) {
  RawDocument raw;
  while (read(raw)) {
    text = parse(std::move(raw));
    if (!is_blank(text)) {
      ++documents_;
      return true;
    }
    ++empty_documents_;
  }
  if (documents_ == 0) fail_without_text();
  return false;
}

bool DocumentReader::read(RawDocument& raw) {
  return is_jsonl_ ? read_json_line(raw) : read_text(raw);
}

std::string DocumentReader::parse(RawDocument raw) const {
  const size_t bad = find_invalid_utf8(raw.text);
  if (bad != raw.text.size()) {
    const auto at = raw.text.begin() + static_cast<std::ptrdiff_t>(bad);
    fail("invalid UTF-8", raw.file, raw.line + std::count(raw.text.begin(), at, '\n'),
         "convert the text to UTF-8, for example with iconv");
  }
  if (!is_jsonl_) return std::move(raw.text);
  const nlohmann::json document =
      nlohmann::json::parse(raw.text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) fail_json(raw);
  const auto field = document.is_object() ? document.find("text") : document.end();
  if (!document.is_object() || field == document.end() || !field->is_string()) {
    fail("no \"text\" in JSON line", raw.file, raw.line, "write lines such as {\"text\": \"...\"}");
  }
  return field->get<std::string>();
}

void DocumentReader::fail_without_text() const {
  throw Error(
      fmt::format("no prose in corpus: \"{}\" holds no text; give documents with text in them",
                  input_.string()));
}

void DocumentReader::fail(std::string_view what, size_t file, int64_t line,
                          std::string_view advice) const {
  throw Error(fmt::format("{}: \"{}\" line {}; {}", what, files_[file].string(), line, advice));
}

void DocumentReader::fail_json(const RawDocument& raw) const {
  const std::string_view foreign =
      raw.line == 1
          ? describe_foreign_file(as_bytes(raw.text).first(std::min(raw.text.size(), kHeadBytes)))
          : std::string_view{};
  if (!foreign.empty()) {
    throw Error(fmt::format("no JSON lines: \"{}\" is {}", files_[raw.file].string(), foreign));
  }
  throw Error(fmt::format("invalid JSON: {}, {}; write one JSON object a line", describe_place(raw),
                          explain_json_error(raw.text)));
}

std::string DocumentReader::describe_place(const RawDocument& raw) const {
  return fmt::format("\"{}\" line {}", files_[raw.file].string(), raw.line);
}

// Names without their folders above the corpus, which may be moved.
std::string DocumentReader::identify() const {
  std::string text;
  std::string part(kBufferBytes, '\0');
  for (const std::filesystem::path& path : files_) {
    std::error_code error;
    const auto bytes = static_cast<int64_t>(std::filesystem::file_size(path, error));
    const auto name = path == input_ ? path.filename() : path.lexically_relative(input_);
    text += fmt::format("{} {}\n", name.string(), error ? -1 : bytes);
    std::ifstream file(path, std::ios::binary);
    for (const int64_t from : {int64_t{0}, bytes - static_cast<int64_t>(part.size())}) {
      if (error || from < 0) continue;
      file.clear();
      file.seekg(from);
      file.read(part.data(), static_cast<std::streamsize>(part.size()));
      if (!file.is_open() || file.bad()) {
        fail_to_read(path, errno);
      }
      text += hex(
          sha256(as_bytes(std::string_view(part).substr(0, static_cast<size_t>(file.gcount())))));
    }
  }
  return hex(sha256(as_bytes(text)));
}

bool DocumentReader::open_next() {
  if (next_file_ == files_.size()) return false;
  const std::filesystem::path& path = files_[next_file_++];
  file_ = std::ifstream(path, std::ios::binary);
  line_number_ = 0;
  buffer_.clear();
  buffer_at_ = 0;
  if (!file_.is_open()) fail_to_read(path, errno);
  fill_buffer();
  if (const std::string_view foreign = describe_foreign_text(head_of(buffer_)); !foreign.empty()) {
    throw Error(fmt::format("no text in corpus file: \"{}\" is {}", path.string(), foreign));
  }
  return true;
}

// False at the file's end.
bool DocumentReader::fill_buffer() {
  buffer_.resize(kBufferBytes);
  buffer_at_ = 0;
  file_.read(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
  buffer_.resize(static_cast<size_t>(file_.gcount()));
  if (file_.bad()) fail("cannot read corpus file", next_file_ - 1, line_number_, "check the disk");
  return !buffer_.empty();
}

// A line of the current file without its end; false at the file's end.
bool DocumentReader::next_line(std::string& line) {
  line.clear();
  bool has_end = false;
  while (!has_end && file_.is_open()) {
    if (buffer_at_ == buffer_.size() && !fill_buffer()) {
      if (line.empty()) file_.close();
      break;
    }
    const auto begin = buffer_.begin() + static_cast<std::ptrdiff_t>(buffer_at_);
    const auto end = std::find(begin, buffer_.end(), '\n');
    line.append(begin, end);
    has_end = end != buffer_.end();
    buffer_at_ = static_cast<size_t>(end - buffer_.begin()) + (has_end ? 1 : 0);
    if (line.size() > kMaxLineBytes) {
      fail("line too long", next_file_ - 1, line_number_ + 1,
           fmt::format("the limit is {} MiB, break the text into documents", kMaxLineBytes >> 20));
    }
  }
  if (!file_.is_open()) return false;
  ++line_number_;
  read_bytes_ += static_cast<int64_t>(line.size()) + (has_end ? 1 : 0);
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (line_number_ == 1 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
  if (line.ends_with('\r')) line.pop_back();
  return true;
}

bool DocumentReader::read_json_line(RawDocument& raw) {
  if (next_file_ == 0) open_next();
  do {
    if (!next_line(raw.text)) return false;
  } while (is_blank(raw.text));
  raw.file = next_file_ - 1;
  raw.line = line_number_;
  return true;
}

bool DocumentReader::read_text(RawDocument& raw) {
  std::string& text = raw.text;
  text.clear();
  std::string line;
  do {
    if (!file_.is_open() && !open_next()) return false;
    raw.file = next_file_ - 1;
    raw.line = line_number_ + 1;
    while (next_line(line)) {
      text += line;
      text += '\n';
      const bool at_gap = is_blank(line) || text.size() >= kGaplessPieces * piece_bytes_;
      if (text.size() >= piece_bytes_ && at_gap) break;
    }
    // An empty file counts as an empty document; the end of a file that was cut just there does
    // not.
  } while (text.empty() && line_number_ > 0);
  // A document ends with its last line, not with the gap after it.
  while (text.ends_with('\n')) text.pop_back();
  return true;
}

}  // namespace pg
