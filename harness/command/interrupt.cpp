#include "harness/command/interrupt.h"

#include <unistd.h>

#include <csignal>

namespace pg {
namespace {

// The one mutable static of the program: a signal handler can reach nothing else.
volatile std::sig_atomic_t requested = 0;

void on_signal(int) {
  if (requested != 0) ::_exit(kExitInterrupted);
  requested = 1;
  constexpr char kMessage[] =
      "\ninterrupted: the run ends after this step and is packed and scored; again to leave at "
      "once\n";
  [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
}

}  // namespace

void watch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  ::sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool is_interrupt_requested() { return requested != 0; }

}  // namespace pg
