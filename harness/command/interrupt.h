// Ctrl-C: once asks the run to finish its step, pack and score; twice leaves at once.
#pragma once

namespace pg {

inline constexpr int kExitInterrupted = 130;

// From now on SIGINT and SIGTERM set the request; a second one ends the process with
// kExitInterrupted.
void watch_interrupts();
bool is_interrupt_requested();

}  // namespace pg
