#include "harness/bench/child_program.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "src/base/error.h"

extern char** environ;

namespace pg {
namespace {

// Signals that this program blocks or ignores are a child's own business again.
class SpawnAttributes {
 public:
  SpawnAttributes() {
    posix_spawnattr_init(&attributes_);
    sigset_t signals;
    ::sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    ::sigaddset(&signals, SIGPIPE);
    ::sigaddset(&signals, SIGXFSZ);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnAttributes() { posix_spawnattr_destroy(&attributes_); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

}  // namespace

std::optional<int> run_child(std::vector<std::string> arguments, ChildOutput output) {
  constexpr int kNoProgram = 127, kExitOfSignal = 128;
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::fflush(stdout);  // what we said so far comes before what the child says
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (output == ChildOutput::kDropped) {
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  }
  const SpawnAttributes attributes;
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv[0], &actions, attributes.get(), argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error == ENOENT) return {};
  int status = -1;
  if (error != 0 || ::waitpid(pid, &status, 0) != pid) {
    throw Error("cannot run \"" + arguments[0] + "\"");
  }
  if (WIFSIGNALED(status)) return kExitOfSignal + WTERMSIG(status);
  if (WEXITSTATUS(status) == kNoProgram) return {};
  return WEXITSTATUS(status);
}

}  // namespace pg
