#include "harness/command/interrupt.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <string>
#include <system_error>
#include <thread>

#include "src/files/write_file.h"

namespace pg {
namespace {

constexpr int kExitOfSignal = 128;  // plus its number, as shells count

// The mutable statics of the program: signals come to the process, not to an object.
std::atomic<bool> is_watching = false, is_graceful = false;
std::atomic<int> requested = 0;  // the first signal's number
std::atomic<const char*> announcement = "";

bool is_ignored(int number) {
  struct sigaction action = {};
  return ::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// Ends as the signal would have without us, so that a calling script sees what it was.
[[noreturn]] void die_of(int number) {
  await_file_writes();
  std::signal(number, SIG_DFL);
  sigset_t one;
  ::sigemptyset(&one);
  ::sigaddset(&one, number);
  ::pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
  std::raise(number);
  ::_exit(kExitOfSignal + number);
}

void say_requested() {
  const std::string message =
      std::string("\ninterrupted: ") + announcement.load() + "; again to leave at once\n";
  // A terminal that was stopped (Ctrl-S) must not keep this thread from the next signal.
  pollfd terminal = {STDERR_FILENO, POLLOUT, 0};
  if (::poll(&terminal, 1, /*timeout_ms=*/0) != 1) return;
  [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, message.data(), message.size());
}

[[noreturn]] void read_signals(const sigset_t& signals) {
  for (;;) {
    int number = 0;
    if (::sigwait(&signals, &number) != 0) continue;
    if (!is_graceful) die_of(number);
    if (number == SIGHUP) continue;
    // Before the work that an announcement speaks of nobody asks for the request.
    if (*announcement.load() == '\0') {
      await_file_writes();
      ::_exit(kExitOfSignal + number);
    }
    if (number == SIGXCPU && requested != 0) continue;  // comes again every second
    if (requested.exchange(number) != 0) {
      await_file_writes();
      ::_exit(kExitOfSignal + number);
    }
    say_requested();
  }
}

}  // namespace

void watch_signals() {
  std::signal(SIGXFSZ, SIG_IGN);
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGXCPU, SIGUSR1, SIGUSR2, SIGALRM}) {
    // The kernel keeps a blocked signal also where it is ignored: sigwait would give it.
    if (!is_ignored(number)) ::sigaddset(&signals, number);
  }
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  try {
    std::thread([signals] { read_signals(signals); }).detach();
    is_watching = true;
  } catch (const std::system_error&) {  // then they end the process at once
    ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  }
}

void watch_interrupts() {
  std::signal(SIGHUP, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  is_graceful = true;
  if (!is_watching) {
    std::fputs(
        "warning: no thread for signals can be started: Ctrl-C ends the run at once; see ulimit "
        "-u\n",
        stderr);
  }
}

bool is_interrupt_requested() { return requested != 0; }

int exit_code_of_interrupt() { return kExitOfSignal + requested; }

void announce_interrupt(const char* text) { announcement = text; }

}  // namespace pg
