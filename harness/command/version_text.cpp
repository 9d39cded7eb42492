#include "harness/command/version_text.h"

#include <fmt/format.h>

#include "harness/record/build_info.h"
#include "src/device/device.h"
#include "src/device/registry/make_device.h"
#include "src/text/terminal_text.h"

namespace pg {

std::string describe_version() {
  const auto device = make_device("cpu");
  constexpr int64_t kIndent = 13;
  std::string text;
  const auto add = [&](const char* what, const std::string& value) {
    text += wrap_text(fmt::format("{:<13}{}", what, value), text_columns(stdout), kIndent);
  };
  add("train_gpt", fmt::format("revision {}", kBuildInfo.revision));
  add("compiler", fmt::format("{}, {}", kBuildInfo.compiler, kBuildInfo.options));
  add("processor", fmt::format("{}, {}", device->name(), device->measure_peak().description));
  add("libraries", kBuildInfo.libraries);
  return text;
}

}  // namespace pg
