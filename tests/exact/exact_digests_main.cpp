// Prints the digests and compares them with a table of "hash title" lines.
//
//   exact_digests TABLE         exit 0: every line is the table's
//
// After a change that is meant to change numbers, PG_ACCEPT_EXACT_HASHES=1 writes the table anew and
// fails all the same; then see that the other builds agree.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <string>

#include "tests/exact/exact_digests.h"

namespace pg {
namespace {

Digests make_digests() {
  Digests digests;
  for (const auto make : {digest_tables, digest_training, digest_learners, digest_mixers,
                          digest_coding, digest_packing}) {
    make(digests);
  }
  return digests;
}

std::string format_digests(const Digests& digests) {
  std::string text;
  for (const Digest& digest : digests) {
    char hash[17];
    std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(digest.hash));
    text += std::string(hash) + ' ' + digest.title + '\n';
  }
  return text;
}

std::string read_file(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

int run(const char* table) {
  const std::string found = format_digests(make_digests()), wanted = read_file(table);
  std::fputs(found.c_str(), stdout);
  if (std::getenv("PG_ACCEPT_EXACT_HASHES") != nullptr) {
    std::ofstream(table) << found;
    std::fprintf(stderr, "%s was written anew: look at what changed, and run again\n", table);
    return 1;
  }
  if (found == wanted) return 0;
  std::fprintf(stderr, "these are not the lines of %s:\n%s", table, wanted.c_str());
  return 1;
}

}  // namespace
}  // namespace pg

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: exact_digests TABLE\n");
    return 2;
  }
  try {
    return pg::run(argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "exact_digests: %s\n", error.what());
    return 1;
  }
}
