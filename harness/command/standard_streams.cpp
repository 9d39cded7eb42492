#include "harness/command/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <system_error>

#include "harness/command/interrupt.h"

namespace pg {
namespace {

void say_lost(const std::string& reason) {
  std::fprintf(stderr,
               "train_gpt: output was lost: standard output cannot be written (%s); files that "
               "were written are whole\n",
               reason.c_str());
}

[[noreturn]] void end_uncaught() {
  try {
    if (std::current_exception()) throw;
  } catch (const std::bad_alloc& error) {
    ::_exit(report_failure(error));
  } catch (const std::system_error& error) {
    ::_exit(report_failure(error));
  } catch (...) {  // a fault of the program: leaves its trace
  }
  std::abort();
}

}  // namespace

void open_standard_streams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is `fd`. Not O_CLOEXEC: a child would have the same trouble.
    if (::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) return;
  }
}

void report_uncaught_failures() { std::set_terminate(end_uncaught); }

int finish_output(int code) {
  const bool was_lost = std::ferror(stdout) != 0;
  // Some file systems tell of a full disk only when a file is closed.
  const bool is_lost = std::fclose(stdout) != 0;
  if (!was_lost && !is_lost) return code;
  say_lost(is_lost ? std::generic_category().message(errno) : "an earlier write failed");
  return code == 0 ? 1 : code;
}

int report_failure(const std::exception& error) {
  const auto* system_error = dynamic_cast<const std::system_error*>(&error);
  if (std::ferror(stdout) != 0 && system_error != nullptr) {  // fmt::print's
    say_lost(system_error->code().message());
  } else if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    std::fputs(
        "train_gpt: out of memory; free some, or use a smaller model, train.micro_batch_tokens or "
        "eval.batch_tokens\n",
        stderr);
  } else if (system_error != nullptr &&
             system_error->code() == std::errc::resource_unavailable_try_again) {
    std::fprintf(stderr, "train_gpt: no further thread can be started (%s); see ulimit -u and -v\n",
                 system_error->code().message().c_str());
  } else {
    std::fprintf(stderr, "train_gpt: %s\n", error.what());
  }
  return dynamic_cast<const Interrupted*>(&error) != nullptr ? exit_code_of_interrupt() : 1;
}

}  // namespace pg
