// Documents of a text corpus, one after the other, so that a corpus of any size needs the memory of
// one document.
//   folder    every .txt file below it, in the order of their paths, links followed; each is one
//             document (above 1 MiB, several)
//   one .txt  documents of about 16 KiB, cut at blank lines: a single one could not be split into
//             train and val
//   .jsonl    one JSON object a line, whose "text" is the document
#pragma once
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "src/data/corpus/corpus_files.h"

namespace pg {

// A longer line is no document; what it takes to read and encode one is some times its size.
inline constexpr size_t kMaxLineBytes = size_t{64} << 20;

// A document as it lies in its file, unchecked: its text, or the JSON line that holds it.
struct RawDocument {
  std::string text;
  size_t file = 0;
  int64_t line = 0;  // number of its first line in the file
};

class DocumentReader {
 public:
  // Throws Error when the input is missing, of another kind, unreadable, or a folder without .txt
  // files. Extensions may be upper-case.
  explicit DocumentReader(const std::filesystem::path& input);

  // The next document that is not blank; false after the last. Throws Error naming file and line
  // for invalid UTF-8 or JSON, and when the whole input held no text.
  bool next(std::string& text);

  // The same in two steps, for those who parse on many threads: read() in order, then parse() where
  // it suits; parsed documents that are blank are to be passed over.
  bool read(RawDocument& raw);
  std::string parse(RawDocument raw) const;
  [[noreturn]] void fail_without_text() const;
  // "\"x.jsonl\" line 7", for messages on a document.
  std::string describe_place(const RawDocument& raw) const;

  // The same for the same text: names, sizes and both ends of all files, hashed.
  std::string identify() const;
  // Of the folder, not read at all.
  const std::vector<LeftOut>& left_out() const { return left_out_; }
  int64_t empty_documents() const { return empty_documents_; }  // next() passed over so far
  int64_t input_bytes() const { return input_bytes_; }          // size of all files
  int64_t read_bytes() const { return read_bytes_; }            // of them, read so far

 private:
  bool read_json_line(RawDocument& raw);
  bool read_text(RawDocument& raw);
  bool next_line(std::string& line);
  bool fill_buffer();
  bool open_next();
  [[noreturn]] void fail_json(const RawDocument& raw) const;
  [[noreturn]] void fail(std::string_view what, size_t file, int64_t line,
                         std::string_view advice) const;

  std::vector<std::filesystem::path> files_;
  std::vector<LeftOut> left_out_;
  size_t next_file_ = 0;
  std::ifstream file_;
  std::vector<char> buffer_;  // of the file, read but for [0, buffer_at_)
  size_t buffer_at_ = 0;
  bool is_jsonl_ = false;
  size_t piece_bytes_ = 0;  // text files are cut at the first blank line after so many bytes
  int64_t line_number_ = 0;
  int64_t documents_ = 0;
  int64_t empty_documents_ = 0;
  int64_t input_bytes_ = 0;
  int64_t read_bytes_ = 0;
  std::filesystem::path input_;
};

// No letter, digit or sign in it.
bool is_blank(std::string_view text);

}  // namespace pg
