// A text file that only grows: logs. A log that cannot be written must not end a training that can,
// so a failure is reported once, through the function given, and further lines are dropped.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "src/base/file_descriptor.h"

namespace pg {

class AppendFile {
 public:
  using Report = std::function<void(const std::string& message)>;

  AppendFile() = default;  // drops everything
  // With `append` old lines stay; else the file starts empty.
  AppendFile(const std::filesystem::path& path, bool append, Report report);

  // The line and a line break in one write, so that a kill leaves whole lines; of one that finds no
  // room for all of it nothing stays.
  void write_line(std::string_view line);
  // Reports a file that was removed: lines would go on into nothing.
  void check_kept();
  // Its lines are on the disk when this returns; later ones are dropped.
  void close();
  int64_t size_bytes() const;  // 0 when it cannot be written

 private:
  void fail(int error);

  std::string path_;
  Report report_;
  FileDescriptor file_;
};

}  // namespace pg
