// Signals that end the program. It has no handlers: the generated code of oneDNN's products points
// the stack register at a workspace on the heap, and a handler that interrupts it would write there.
// SIGINT, SIGTERM and SIGHUP are blocked in every thread and read by one of ours.
#pragma once
#include "src/base/error.h"

namespace pg {

// First in main, before another thread exists: later ones take over what is blocked. Until
// watch_interrupts the three end the process as they would without us, but with no file half
// written; one that was ignored when the program began (nohup, a script's &) stays ignored.
// From now on a file above the limit of `ulimit -f` is an error of write().
void watch_signals();

// From the first announcement on SIGINT or SIGTERM, or one by which limits and schedulers announce
// the end (SIGXCPU, SIGUSR1, SIGUSR2, SIGALRM), sets the request; a second one ends the process with
// 130 or 143.
// The terminal may go (SIGHUP), and whoever reads what is printed (SIGPIPE).
void watch_interrupts();
bool is_interrupt_requested();
// What the first signal is answered with from now on. `text` must outlive the program.
void announce_interrupt(const char* text);

// Work that ended because a signal asked for it; main ends with exit_code_of_interrupt().
class Interrupted : public Error {
  using Error::Error;
};
// 130 or 143, as shells count signals.
int exit_code_of_interrupt();

}  // namespace pg
