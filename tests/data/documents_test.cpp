#include "src/data/corpus/documents.h"

#include <gtest/gtest.h>

#include "tests/data/data_fixture.h"

namespace pg {
namespace {

std::vector<std::string> read_all(const std::filesystem::path& input) {
  DocumentReader reader(input);
  std::vector<std::string> documents;
  for (std::string text; reader.next(text);) documents.push_back(text);
  return documents;
}

std::string read_error(const std::filesystem::path& input) {
  return catch_error([&] { read_all(input); });
}

TEST(Documents, FolderGivesOneDocumentAFileInTheOrderOfPaths) {
  const DataFolder folder;
  folder.write("b.txt", "second\n");
  folder.write("sub/c.txt", "third,\nin two lines\r\n");
  folder.write("a.txt",
               "\xef\xbb\xbf"
               "first");
  folder.write("empty.txt", "");
  folder.write("ignored.md", "no");
  DocumentReader reader(folder.path());
  std::vector<std::string> documents;
  for (std::string text; reader.next(text);) documents.push_back(text);
  EXPECT_EQ(documents, (std::vector<std::string>{"first", "second", "third,\nin two lines"}));
  EXPECT_EQ(reader.empty_documents(), 1);
}

TEST(Documents, LoneTextFileIsCutAtBlankLinesAndLosesNothing) {
  const DataFolder folder;
  std::string text, words;
  for (uint64_t i = 0; i < 300; ++i) text += make_prose(i, 5) + "\n\n";
  const std::vector<std::string> documents = read_all(folder.write("book.txt", text));
  EXPECT_GT(documents.size(), 2u);
  for (const std::string& document : documents) {
    EXPECT_LT(document.size(), 20'000u);
    words += document + "\n\n";
  }
  EXPECT_EQ(words, text);
}

TEST(Documents, TextWithoutBlankLinesIsCutAtLineEnds) {
  const DataFolder folder;
  std::string text;
  for (uint64_t i = 0; i < 3000; ++i) text += make_prose(i, 1) + "\n";
  EXPECT_GT(read_all(folder.write("lines.txt", text)).size(), 1u);
}

TEST(Documents, JsonLinesGiveTheirText) {
  const DataFolder folder;
  const auto path = folder.write("d.jsonl",
                                 "{\"text\": \"one\\nline \\u00e9\", \"source\": 3}\n"
                                 "\n"
                                 "{\"text\": \"  \"}\r\n"
                                 "{\"text\": \"two\"}");
  EXPECT_EQ(read_all(path), (std::vector<std::string>{"one\nline \u00e9", "two"}));
}

TEST(Documents, ErrorsNameFileLineAndFix) {
  const DataFolder folder;
  const auto jsonl = [&](const char* text) { return read_error(folder.write("x.jsonl", text)); };
  EXPECT_TRUE(says(jsonl("{\"text\": \"a\"}\n{\"text\": \n"), "invalid JSON: \""));
  EXPECT_TRUE(says(jsonl("{\"text\": \"a\"}\n{\"text\": \n"),
                   "x.jsonl\" line 2; write one JSON object a line"));
  EXPECT_TRUE(says(jsonl("{\"body\": \"a\"}\n"), "no \"text\" in JSON line"));
  EXPECT_TRUE(says(jsonl("{\"text\": 5}\n"), "no \"text\" in JSON line"));
  EXPECT_TRUE(says(jsonl("[\"text\"]\n"), "no \"text\" in JSON line"));
  EXPECT_TRUE(says(jsonl("{\"text\": \"\\ud800\"}\n"), "invalid JSON"));
  EXPECT_TRUE(says(jsonl("{\"text\": \"a\"}\n{\"text\": \"\xff\"}\n"), "invalid UTF-8: \""));
  EXPECT_TRUE(
      says(read_error(folder.write("x.txt", "good\nbad \xc0\x80\n")), "x.txt\" line 2; convert"));
}

TEST(Documents, InputsWithoutProseAreErrors) {
  const DataFolder folder;
  std::filesystem::create_directories(folder / "none");
  EXPECT_TRUE(says(read_error(folder / "none"), "no prose in folder"));
  EXPECT_TRUE(says(read_error(folder.write("blank.txt", "\n \n")), "no prose in corpus"));
  EXPECT_TRUE(says(read_error(folder.write("blank.jsonl", "")), "no prose in corpus"));
  EXPECT_TRUE(says(read_error(folder / "missing.txt"), "cannot find corpus"));
  EXPECT_TRUE(says(read_error(folder.write("table.csv", "a,b")), "unknown kind of corpus"));
}

}  // namespace
}  // namespace pg
