// For LD_PRELOAD: one call of the program into the system fails. FAULT_KIND names the kind of call,
// FAULT_AT which of them (from 1; 0: none), FAULT_ERRNO how. Calls on files count below FAULT_ROOT
// alone, so that the loader's and the libraries' own do not. At the end FAULT_COUNTS gets a line
// "kind calls" for every kind.
//
// Only what is called through a library's table can be caught: what glibc does within itself (stdio
// on a terminal, malloc's own mmap) cannot.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

namespace {

enum Kind : int { kOpen, kRead, kWrite, kSync, kRename, kClose, kMkdir, kMap, kThread, kMemory };
constexpr const char* kNames[] = {"open",  "read",  "write", "fsync",  "rename",
                                  "close", "mkdir", "mmap",  "thread", "memory"};
constexpr int kKinds = sizeof kNames / sizeof kNames[0];
// Smaller allocations fail too seldom in practice to be worth a run each.
constexpr size_t kSmallestMemory = 4096;

std::atomic<int> g_calls[kKinds];

struct Settings {
  int kind = -1, at = 0, error = EIO;
  std::string root;

  Settings() {
    const auto number = [](const char* name) {
      const char* text = std::getenv(name);
      return text == nullptr ? 0 : std::atoi(text);
    };
    const char* wanted = std::getenv("FAULT_KIND");
    for (int i = 0; wanted != nullptr && i < kKinds; ++i) {
      if (std::strcmp(wanted, kNames[i]) == 0) kind = i;
    }
    at = number("FAULT_AT");
    if (number("FAULT_ERRNO") > 0) error = number("FAULT_ERRNO");
    if (const char* folder = std::getenv("FAULT_ROOT")) root = folder;
  }
};

// Made at the first call, which may come before this library's own initialisers; never gone, because
// calls come to the very end.
const Settings& settings() {
  static const Settings* const instance = new Settings;
  return *instance;
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

__attribute__((destructor)) void write_counts() {
  const char* path = std::getenv("FAULT_COUNTS");
  std::FILE* out =
      path == nullptr ? nullptr : next<std::FILE*(const char*, const char*)>("fopen")(path, "w");
  if (out == nullptr) return;
  for (int i = 0; i < kKinds; ++i) std::fprintf(out, "%s %d\n", kNames[i], g_calls[i].load());
  std::fclose(out);
}

// Counts the call; true when it is the one to fail, with errno set.
bool fails(Kind kind) {
  const int call = g_calls[kind].fetch_add(1) + 1;
  if (kind != settings().kind || call != settings().at) return false;
  errno = settings().error;
  return true;
}

bool is_ours(const char* path) {
  const std::string& root = settings().root;
  if (root.empty()) return false;
  return path[0] != '/' || std::strncmp(path, root.c_str(), root.size()) == 0;
}

bool is_ours(int fd) {
  const int before = errno;
  char link[64], path[PATH_MAX];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = ::readlink(link, path, sizeof path - 1);
  errno = before;
  if (size < 0 || path[0] != '/') return false;  // closed, or a pipe
  path[size] = '\0';
  return is_ours(path);
}

// Whether a call comes from the program and not from a library: oneDNN crashes where it gets no
// memory for generated code, which a program can only make unlikely.
bool is_program(const void* caller) {
  Dl_info of_caller = {}, of_program = {};
  const auto* entry = reinterpret_cast<const void*>(::getauxval(AT_ENTRY));
  return dladdr(caller, &of_caller) != 0 && dladdr(entry, &of_program) != 0 &&
         of_caller.dli_fbase == of_program.dli_fbase;
}

mode_t read_mode(int flags, va_list arguments) {
  return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = read_mode(flags, arguments);
  va_end(arguments);
  static auto* const real = next<int(const char*, int, ...)>("open");
  return is_ours(path) && fails(kOpen) ? -1 : real(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = read_mode(flags, arguments);
  va_end(arguments);
  static auto* const real = next<int(const char*, int, ...)>("open64");
  return is_ours(path) && fails(kOpen) ? -1 : real(path, flags, mode);
}

std::FILE* fopen(const char* path, const char* mode) {
  static auto* const real = next<std::FILE*(const char*, const char*)>("fopen");
  return is_ours(path) && fails(kOpen) ? nullptr : real(path, mode);
}

std::FILE* fopen64(const char* path, const char* mode) {
  static auto* const real = next<std::FILE*(const char*, const char*)>("fopen64");
  return is_ours(path) && fails(kOpen) ? nullptr : real(path, mode);
}

ssize_t read(int fd, void* to, size_t bytes) {
  static auto* const real = next<ssize_t(int, void*, size_t)>("read");
  return is_ours(fd) && fails(kRead) ? -1 : real(fd, to, bytes);
}

ssize_t pread(int fd, void* to, size_t bytes, off_t at) {
  static auto* const real = next<ssize_t(int, void*, size_t, off_t)>("pread");
  return is_ours(fd) && fails(kRead) ? -1 : real(fd, to, bytes, at);
}

ssize_t pread64(int fd, void* to, size_t bytes, off64_t at) {
  static auto* const real = next<ssize_t(int, void*, size_t, off64_t)>("pread64");
  return is_ours(fd) && fails(kRead) ? -1 : real(fd, to, bytes, at);
}

// A disk that fills up takes the first half.
ssize_t write(int fd, const void* from, size_t bytes) {
  static auto* const real = next<ssize_t(int, const void*, size_t)>("write");
  if (!is_ours(fd) || !fails(kWrite)) return real(fd, from, bytes);
  if (bytes > 1) [[maybe_unused]]
    const ssize_t ignored = real(fd, from, bytes / 2);
  errno = settings().error;
  return -1;
}

int fsync(int fd) {
  static auto* const real = next<int(int)>("fsync");
  return is_ours(fd) && fails(kSync) ? -1 : real(fd);
}

int rename(const char* from, const char* to) noexcept {
  static auto* const real = next<int(const char*, const char*)>("rename");
  return is_ours(to) && fails(kRename) ? -1 : real(from, to);
}

// The descriptor is gone all the same.
int close(int fd) {
  static auto* const real = next<int(int)>("close");
  const bool is_failing = is_ours(fd) && fails(kClose);
  const int result = real(fd);
  if (is_failing) errno = settings().error;
  return is_failing ? -1 : result;
}

int mkdir(const char* path, mode_t mode) noexcept {
  static auto* const real = next<int(const char*, mode_t)>("mkdir");
  return is_ours(path) && fails(kMkdir) ? -1 : real(path, mode);
}

void* mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t at) noexcept {
  static auto* const real = next<void*(void*, size_t, int, int, int, off_t)>("mmap");
  return is_program(__builtin_return_address(0)) && fails(kMap)
             ? MAP_FAILED
             : real(address, bytes, protection, flags, fd, at);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) noexcept {
  static auto* const real =
      next<int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)>("pthread_create");
  return fails(kThread) ? settings().error : real(thread, attributes, start, argument);
}

}  // extern "C"

void* operator new(size_t bytes) {
  if (bytes >= kSmallestMemory && fails(kMemory)) throw std::bad_alloc();
  if (void* const memory = std::malloc(bytes > 0 ? bytes : 1)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
