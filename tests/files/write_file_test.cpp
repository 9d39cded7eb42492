// Where a written file ends up: behind links, on devices and pipes, over old files, and nowhere.
#include "src/files/write_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/file_descriptor.h"

namespace pg {
namespace {

namespace fs = std::filesystem;

class WriteFileTest : public testing::Test {
 protected:
  WriteFileTest()
      : folder_(fs::path(testing::TempDir()) / ("pg_write_file_" + std::to_string(getpid()))) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~WriteFileTest() override { fs::remove_all(folder_); }

  // What() of the Error; empty when there is none.
  std::optional<Error> catch_error(const fs::path& path) const {
    try {
      write_file_atomic(path, "new");
      return {};
    } catch (const Error& error) {
      return error;
    }
  }
  std::string fail_to_write(const fs::path& path) const {
    const std::optional<Error> error = catch_error(path);
    return error ? error->what() : "";
  }
  bool has(const std::string& text, const std::string& part) const {
    return text.find(part) != std::string::npos;
  }
  mode_t mode_of(const fs::path& path) const {
    struct stat info = {};
    return ::lstat(path.c_str(), &info) == 0 ? info.st_mode : 0;
  }
  fs::path folder_;
};

TEST_F(WriteFileTest, LinksStayAndWhatTheyNameIsWritten) {
  fs::create_directories(folder_ / "other");
  write_file_atomic(folder_ / "other" / "there", "old");
  fs::create_symlink("other/there", folder_ / "link");
  fs::create_symlink(folder_ / "link", folder_ / "link_to_link");
  fs::create_symlink("other/new/not_there", folder_ / "dangling");
  write_file_atomic(folder_ / "link_to_link", "new");
  write_file_atomic(folder_ / "dangling", "made");
  EXPECT_EQ(read_text_file(folder_ / "other" / "there"), "new");
  EXPECT_EQ(read_text_file(folder_ / "other" / "new" / "not_there"), "made");
  for (const char* link : {"link", "link_to_link", "dangling"}) {
    EXPECT_TRUE(fs::is_symlink(folder_ / link)) << link;
  }
}

TEST_F(WriteFileTest, LinksInACircleAreAnError) {
  fs::create_symlink("b", folder_ / "a");
  fs::create_symlink("a", folder_ / "b");
  EXPECT_TRUE(has(fail_to_write(folder_ / "a"), "Too many levels of symbolic links"));
}

TEST_F(WriteFileTest, AFolderIsNoPlaceForAFile) {
  fs::create_directories(folder_ / "folder");
  fs::create_symlink("folder", folder_ / "link");
  EXPECT_TRUE(has(fail_to_write(folder_ / "folder"), "it is a folder; give a file's name"));
  EXPECT_TRUE(has(fail_to_write(folder_ / "link"), "it is a folder; give a file's name"));
  EXPECT_TRUE(has(fail_to_write(folder_ / "not_there/"), "Is a directory"));
  write_file_atomic(folder_ / "file", "x");
  EXPECT_TRUE(has(fail_to_write(folder_ / "file" / "below"), "cannot create the folder"));
}

TEST_F(WriteFileTest, AnOldFileKeepsItsMode) {
  write_file_atomic(folder_ / "secret", "old");
  fs::permissions(folder_ / "secret", fs::perms(0600));
  write_file_atomic(folder_ / "secret", "new");
  EXPECT_EQ(mode_of(folder_ / "secret") & 07777, 0600u);
  EXPECT_EQ(read_text_file(folder_ / "secret"), "new");
}

TEST_F(WriteFileTest, AReadOnlyFileIsNotReplaced) {
  // Root may write everything: it does this as nobody.
  constexpr uid_t kNobody = 65534;
  const bool is_root = ::geteuid() == 0;
  if (is_root) {
    ASSERT_EQ(::chown(folder_.c_str(), kNobody, kNobody), 0);
    ASSERT_EQ(::setresuid(kNobody, kNobody, 0), 0);
  }
  write_file_atomic(folder_ / "kept", "old");
  fs::permissions(folder_ / "kept", fs::perms(0444));
  const std::string message = fail_to_write(folder_ / "kept");
  ASSERT_TRUE(!is_root || ::setresuid(0, 0, 0) == 0);
  EXPECT_TRUE(has(message, "check the permissions")) << message;
  EXPECT_EQ(read_text_file(folder_ / "kept"), "old");
}

TEST_F(WriteFileTest, APipeIsWrittenTo) {
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::string found;
  std::thread reader([&] { std::getline(std::ifstream(pipe), found); });
  write_file_atomic(pipe, "through the pipe\n");
  reader.join();
  EXPECT_EQ(found, "through the pipe");
  EXPECT_TRUE(S_ISFIFO(mode_of(pipe)));
}

TEST_F(WriteFileTest, DevicesAreWrittenTo) {
  fs::create_symlink("/dev/null", folder_ / "null");
  write_file_atomic(folder_ / "null", "nothing");
  EXPECT_TRUE(fs::is_symlink(folder_ / "null"));
  EXPECT_TRUE(S_ISCHR(mode_of("/dev/null")));
  EXPECT_TRUE(has(fail_to_write("/dev/full"), "No space left on device; free some space"));
  EXPECT_TRUE(S_ISCHR(mode_of("/dev/full")));
}

TEST_F(WriteFileTest, ADescriptorOfOurOwnIsWrittenTo) {
  int ends[2] = {};
  ASSERT_EQ(::pipe(ends), 0);
  FileDescriptor from(ends[0]), to(ends[1]);
  write_file_atomic("/dev/fd/" + std::to_string(to.get()), "text");
  char text[8] = {};
  EXPECT_EQ(::read(from.get(), text, sizeof text), 4);
  EXPECT_EQ(std::string(text), "text");
}

// Nobody but us makes names like those that are written to before they are renamed.
TEST_F(WriteFileTest, FilesBesideTheWrittenOneStay) {
  write_file_atomic(folder_ / "victim", "untouched");
  fs::create_symlink("victim", folder_ / "link.tmp");
  for (const char* name : {"file.tmp", "file.bak", "file~", ".file.tmp"}) {
    write_file_atomic(folder_ / name, "mine");
  }
  for (const char* name : {"file", "link"}) write_file_atomic(folder_ / name, "new");
  remove_stray_files(folder_);
  for (const char* name : {"file.tmp", "file.bak", "file~", ".file.tmp"}) {
    EXPECT_EQ(read_text_file(folder_ / name), "mine");
  }
  EXPECT_EQ(read_text_file(folder_ / "victim"), "untouched");
  EXPECT_EQ(read_text_file(folder_ / "file"), "new");
  EXPECT_TRUE(fs::is_symlink(folder_ / "link.tmp"));
}

// A name that lies there, of whatever kind, is never written to.
TEST_F(WriteFileTest, ATakenTemporaryNameIsPassedOver) {
  const std::string begin = ".file." + std::to_string(::getpid()) + "-";
  write_file_atomic(folder_ / "victim", "untouched");
  fs::create_symlink("victim", folder_ / (begin + "0.train_gpt.tmp"));
  fs::create_directory(folder_ / (begin + "1.train_gpt.tmp"));
  write_file_atomic(folder_ / "file", "new");
  EXPECT_EQ(read_text_file(folder_ / "victim"), "untouched");
  EXPECT_EQ(read_text_file(folder_ / "file"), "new");
  remove_stray_files(folder_);
  EXPECT_TRUE(fs::is_symlink(folder_ / (begin + "0.train_gpt.tmp")));
  EXPECT_TRUE(fs::is_directory(folder_ / (begin + "1.train_gpt.tmp")));
}

TEST_F(WriteFileTest, StrayFilesGoUnlessTheyAreBeingWritten) {
  const fs::path dead = folder_ / ".file.71-0.train_gpt.tmp";
  const fs::path alive = folder_ / ".file.72-0.train_gpt.tmp";
  write_file_atomic(dead, "half");
  write_file_atomic(alive, "half");
  const FileDescriptor writer(::open(alive.c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(::flock(writer.get(), LOCK_EX), 0);
  remove_stray_files(folder_);
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_EQ(read_text_file(alive), "half");
}

TEST_F(WriteFileTest, TheLongestNameIsWritten) {
  const fs::path file = folder_ / std::string(255, 'a');
  write_file_atomic(file, "new");
  EXPECT_EQ(read_text_file(file), "new");
}

// At whatever call the descriptors run out: the old file stands, and nothing beside it.
// Such files are written in blocks past the page cache, where there are whole ones.
TEST_F(WriteFileTest, LargeFilesHaveEveryByte) {
  constexpr size_t kLarge = size_t{8} << 20;
  std::vector<uint8_t> bytes(2 * kLarge);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 7 + i / 4096);
  for (const size_t size : {kLarge - 1, kLarge, kLarge + 1, kLarge + 4096, kLarge + 4102531}) {
    const auto part = std::span(bytes).subspan(3, size);  // memory of no alignment
    write_file_atomic(folder_ / "file", part);
    const Bytes got = read_file(folder_ / "file");
    EXPECT_TRUE(std::ranges::equal(got, part)) << size << " bytes";
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

TEST_F(WriteFileTest, WithoutDescriptorsNothingIsLeft) {
  write_file_atomic(folder_ / "file", "old");
  rlimit old = {};
  getrlimit(RLIMIT_NOFILE, &old);
  const int lowest_free = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::close(lowest_free);
  for (rlim_t allowed = 0; allowed < 4; ++allowed) {
    const rlimit small = {static_cast<rlim_t>(lowest_free) + allowed, old.rlim_max};
    setrlimit(RLIMIT_NOFILE, &small);
    const std::optional<Error> error = catch_error(folder_ / "file");
    setrlimit(RLIMIT_NOFILE,
              &old);  // a checked build needs a descriptor for the virtual call that follows
    const std::string message = error ? error->what() : "";
    EXPECT_EQ(message.empty() ? "" : "ulimit -n",
              has(message, "ulimit -n") ? "ulimit -n" : message);
    EXPECT_EQ(message.empty(), allowed > 0) << message;
    EXPECT_EQ(read_text_file(folder_ / "file"), message.empty() ? "new" : "old");
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
    write_file_atomic(folder_ / "file", "old");
  }
}

TEST_F(WriteFileTest, ALimitOnFileSizesIsNamed) {
  rlimit old = {};
  getrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {2, old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = fail_to_write(folder_ / "file");
  setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_TRUE(has(message, "ulimit -f")) << message;
  EXPECT_TRUE(fs::is_empty(folder_));
}

// Each to a name of its own, or one would rename what the other has half written.
TEST_F(WriteFileTest, TwoProcessesThatWriteOnePathLeaveAWholeFile) {
  const fs::path path = folder_ / "file";
  constexpr size_t kBytes = 1 << 16;
  constexpr int kWrites = 60;
  const auto write_often = [&](char letter) {
    for (int i = 0; i < kWrites; ++i) write_file_atomic(path, std::string(kBytes, letter));
  };
  write_often('a');
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      write_often('b');
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  bool is_whole = true;
  for (int i = 0; i < kWrites; ++i) {
    write_file_atomic(path, std::string(kBytes, 'a'));
    const std::string text = read_text_file(path);
    is_whole &= text.size() == kBytes && text.find_first_not_of(text[0]) == std::string::npos;
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(is_whole);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

}  // namespace
}  // namespace pg
