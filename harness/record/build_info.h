// What this program was built from and by; the values are written by cmake/build_info.cmake.
#pragma once

namespace pg {

struct BuildInfo {
  const char* revision;   // "45f0b4c5a1b2", with "-dirty" for a changed tree; "unknown" outside git
  const char* compiler;   // "GNU 12.2.0"
  const char* options;    // "Release, native"
  const char* libraries;  // "oneDNN 2.6.3, fmt 9.1.0, ..."
};
extern const BuildInfo kBuildInfo;

}  // namespace pg
