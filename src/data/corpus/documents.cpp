// Text is checked where it enters: SentencePiece would silently replace invalid UTF-8, and the byte
// count, the denominator of the score, would no longer be that of the text.
#include "src/data/corpus/documents.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "src/base/error.h"
#include "src/text/utf8.h"

namespace pg {
namespace {

constexpr size_t kFilePieceBytes = size_t{1}
                                   << 20;  // bounds the memory that encoding one document takes
constexpr size_t kLoneFilePieceBytes = size_t{1} << 14;  // about the length of a long web page

constexpr size_t kGaplessPieces =
    4;  // pieces after which any line's end will do, for text without blank lines

std::vector<std::filesystem::path> list_text_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().extension() == ".txt")
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end(),
            [](const auto& a, const auto& b) { return a.native() < b.native(); });
  return files;
}

}  // namespace

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
}

DocumentReader::DocumentReader(const std::filesystem::path& input) : input_(input) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(input, error);
  if (!std::filesystem::exists(status)) {
    throw Error(fmt::format("cannot find corpus: \"{}\"; check the path", input.string()));
  }
  if (std::filesystem::is_directory(status)) {
    files_ = list_text_files(input);
    piece_bytes_ = kFilePieceBytes;
    if (files_.empty()) {
      throw Error(
          fmt::format("no prose in folder: \"{}\" holds no .txt file; put documents there, one a "
                      "file, or give a .txt or .jsonl file",
                      input.string()));
    }
  } else if (input.extension() == ".jsonl" || input.extension() == ".txt") {
    files_ = {input};
    piece_bytes_ = kLoneFilePieceBytes;
    is_jsonl_ = input.extension() == ".jsonl";
  } else {
    throw Error(
        fmt::format("unknown kind of corpus: \"{}\"; give a folder of .txt files, a .txt file or a "
                    ".jsonl file",
                    input.string()));
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
  if (document.is_discarded()) {
    fail("invalid JSON", raw.file, raw.line, "write one JSON object a line");
  }
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

bool DocumentReader::open_next() {
  if (next_file_ == files_.size()) return false;
  const std::filesystem::path& path = files_[next_file_++];
  file_ = std::ifstream(path, std::ios::binary);
  line_number_ = 0;
  if (!file_.is_open()) {
    throw Error(
        fmt::format("cannot read corpus file: \"{}\"; check its permissions", path.string()));
  }
  return true;
}

// A line of the current file without its end; false at the file's end.
bool DocumentReader::next_line(std::string& line) {
  if (!file_.is_open() || !std::getline(file_, line)) {
    if (file_.is_open() && file_.bad()) {
      fail("cannot read corpus file", next_file_ - 1, line_number_, "check the disk");
    }
    file_.close();
    return false;
  }
  ++line_number_;
  read_bytes_ += static_cast<int64_t>(line.size()) + 1;
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
