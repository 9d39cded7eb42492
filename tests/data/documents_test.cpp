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
                   "x.jsonl\" line 2, column 10: unexpected end of input; expected"));
  EXPECT_TRUE(says(jsonl("{\"text\": \"a\"}\n{\"text\": \n"), "; write one JSON object a line"));
  EXPECT_TRUE(says(jsonl("{\"body\": \"a\"}\n"), "no \"text\" in JSON line"));
  EXPECT_TRUE(says(jsonl("{\"text\": 5}\n"), "no \"text\" in JSON line"));
  EXPECT_TRUE(says(jsonl("[\"text\"]\n"), "no \"text\" in JSON line"));
  EXPECT_TRUE(says(jsonl("{\"text\": \"\\ud800\"}\n"), "invalid JSON"));
  EXPECT_TRUE(says(jsonl("{\"text\": \"a\"}\n{\"text\": \"\xff\"}\n"), "invalid UTF-8: \""));
  EXPECT_TRUE(
      says(read_error(folder.write("x.txt", "good\nbad \xc0\x80\n")), "x.txt\" line 2; convert"));
}

TEST(Documents, UpperCaseExtensionsAreTaken) {
  const DataFolder folder;
  folder.write("docs/A.TXT", "one");
  EXPECT_EQ(read_all(folder / "docs"), std::vector<std::string>{"one"});
  EXPECT_EQ(read_all(folder / "docs/A.TXT"), std::vector<std::string>{"one"});
  EXPECT_EQ(read_all(folder.write("B.JSONL", "{\"text\": \"two\"}\n")),
            std::vector<std::string>{"two"});
}

TEST(Documents, LinksAreFollowedOnce) {
  const DataFolder folder;
  folder.write("other/c.txt", "third");
  folder.write("docs/a.txt", "first");
  folder.write("docs/sub/b.txt", "second");
  std::filesystem::create_directory_symlink(folder / "other", folder / "docs/linked");
  std::filesystem::create_directory_symlink(folder / "docs", folder / "docs/sub/loop");
  std::filesystem::create_symlink(folder / "docs/a.txt", folder / "docs/again.txt");
  std::filesystem::create_symlink(folder / "nowhere", folder / "docs/broken.txt");
  EXPECT_EQ(read_all(folder / "docs"), (std::vector<std::string>{"first", "third", "second"}));
  const std::vector<std::string> left_out =
      describe_left_out(DocumentReader(folder / "docs").left_out());
  ASSERT_EQ(left_out.size(), 2u);
  EXPECT_TRUE(
      says(left_out[0], "files and folders that are there by another name (2), the first: "));
  EXPECT_TRUE(says(left_out[1], "links that lead nowhere (1), the first: \""));
  EXPECT_TRUE(says(left_out[1], "docs/broken.txt\""));
}

TEST(Documents, OtherFilesOfAFolderAreCountedAndNamed) {
  const DataFolder folder;
  folder.write("a.txt", "first");
  folder.write("b.md", "no");
  folder.write("sub/c.html", "no");
  const std::vector<std::string> left_out =
      describe_left_out(DocumentReader(folder.path()).left_out());
  ASSERT_EQ(left_out.size(), 1u);
  EXPECT_TRUE(says(left_out[0], "files that are no .txt (2), the first: \""));
  EXPECT_TRUE(says(left_out[0], "b.md\""));
}

TEST(Documents, FoldersThatCannotBeReadAreErrors) {
  const DataFolder folder;
  EXPECT_TRUE(says(catch_error([&] { list_folder(folder / "none"); }), "cannot read folder \""));
  folder.write("docs/a.txt", "first");
  folder.write("docs/shut/b.txt", "second");
  std::filesystem::permissions(folder / "docs/shut", std::filesystem::perms::none);
  if (std::error_code error;
      std::filesystem::directory_iterator(folder / "docs/shut", error), error) {  // not as root
    EXPECT_TRUE(says(read_error(folder / "docs"), "docs/shut\" (Permission denied)"));
  }
  std::filesystem::permissions(folder / "docs/shut", std::filesystem::perms::all);
}

TEST(Documents, FilesThatWentWrongOnTheWayAreNamed) {
  const DataFolder folder;
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:1\n";
  EXPECT_TRUE(says(read_error(folder.write("p.txt", pointer)), "git lfs pull"));
  EXPECT_TRUE(says(read_error(folder.write("p.jsonl", pointer)), "git lfs pull"));
  EXPECT_TRUE(says(read_error(folder.write("h.jsonl", "<!DOCTYPE html>\n")), "a web page"));
  EXPECT_TRUE(says(read_error(folder.write("u.txt",
                                           "\xff\xfe"
                                           "a")),
                   "UTF-16"));
  EXPECT_TRUE(
      says(read_error(folder.write("v.txt", std::string_view("a\0b\0c\0d\0", 8))), "UTF-16"));
  EXPECT_TRUE(says(read_error(folder.write("z.jsonl", "\x28\xb5\x2f\xfdx")), "zstd"));
  EXPECT_TRUE(says(read_error(folder.write("t.txt.gz", "\x1f\x8b")), "compressed with gzip"));
  // A text may be a web page or speak of errors.
  EXPECT_EQ(read_all(folder.write("h.txt", "<!DOCTYPE html>")).size(), 1u);
  EXPECT_EQ(read_all(folder.write("n.txt", "Not Found, a novel")).size(), 1u);
}

TEST(Documents, LinesOfAnyLengthUpToTheLimitAreRead) {
  const DataFolder folder;
  std::string text(200'000, 'a');
  for (const size_t bytes : {65'535u, 65'536u, 65'537u, 131'072u}) {
    text += '\n';
    text.append(bytes, 'b');
  }
  folder.write("l.txt", text);
  std::string joined;
  for (const std::string& document : read_all(folder / "l.txt")) joined += document + "\n";
  EXPECT_EQ(joined, text + "\n");
  std::string long_line = "a\n";
  long_line.append(kMaxLineBytes + 1, 'a');
  EXPECT_TRUE(says(read_error(folder.write("x.txt", long_line)), "line too long: \""));
  EXPECT_TRUE(says(read_error(folder / "x.txt"), "x.txt\" line 2; the limit is 64 MiB"));
}

TEST(Documents, IdentityIsOfTheText) {
  const DataFolder folder;
  const auto identify = [](const std::filesystem::path& path) {
    return DocumentReader(path).identify();
  };
  const std::string original = identify(folder.write("a/c.txt", "first"));
  EXPECT_EQ(identify(folder.write("b/c.txt", "first")), original);
  EXPECT_NE(identify(folder.write("b/c.txt", "other")), original);
  EXPECT_NE(identify(folder.write("b/d.txt", "first")), original);
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
