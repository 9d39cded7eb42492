// Reads a log line by line in bounded memory: a log of any length, in any encoding, with lines of any
// length.
#pragma once
#include <cstdint>
#include <string>

#include "harness/verify/log_facts.h"
#include "harness/verify/record_folder.h"

namespace pg {

// Bytes of one folder's logs that are read; what comes after is named as cut.
inline constexpr int64_t kMostLogBytes = int64_t{1} << 31;
// As much of a line as is looked at.
inline constexpr size_t kMostLineBytes = 4096;

// `most_bytes` of the log; its facts are those of an empty log where it cannot be read.
LogFacts read_log(const RecordFolder& folder, const std::string& path, int64_t most_bytes);

// The same from text at hand, as read from a file of these bytes.
LogFacts read_log_text(std::string_view text);

}  // namespace pg
