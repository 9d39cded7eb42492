// Standard input, output and error as a program finds and leaves them: any of them may be missing,
// full or gone.
#pragma once
#include <exception>

namespace pg {

// First in main. A descriptor of 0 to 2 that is missing is filled with one that refuses what would
// be read or written: else the next file that is opened would take its number, and with it what is
// meant for a terminal.
void open_standard_streams();

// Last in main: `code`, or 1 with a message on stderr where the command succeeded and what it
// printed was lost.
int finish_output(int code);

// In main: memory or threads that run out inside a library's thread, where nobody can catch it, end
// the process with the message and code of report_failure.
void report_uncaught_failures();

// For main: says what ended the command and gives the exit code: 1, or that of a signal.
int report_failure(const std::exception& error);

}  // namespace pg
