// The files of a corpus folder, and what of the folder is left out.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace pg {

// Things of one kind that a pass over a corpus leaves out.
struct LeftOut {
  std::string kind;   // "files that are no .txt"
  std::string first;  // where the first of them is
  int64_t count = 0;
};
// Counts one more of a kind.
void add_left_out(std::vector<LeftOut>& left_out, const std::string& kind,
                  const std::string& place);
// "files that are no .txt (3), the first: \"a/b.md\"", one text a kind.
std::vector<std::string> describe_left_out(const std::vector<LeftOut>& left_out);

struct CorpusFiles {
  std::vector<std::filesystem::path> files;  // in the order of their paths
  std::vector<LeftOut> left_out;
};

// Every .txt file below the folder. Links are followed; what a link shows a second time is left
// out. Throws Error for a folder or a file that cannot be read.
CorpusFiles list_corpus_folder(const std::filesystem::path& folder);

// The extension in lower case: ".txt" of "A.TXT".
std::string lower_extension(const std::filesystem::path& path);

// A folder's entries in the order of their names; throws Error when it cannot be read.
std::vector<std::filesystem::path> list_folder(const std::filesystem::path& folder);

}  // namespace pg
