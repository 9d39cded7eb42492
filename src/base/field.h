// What a recipe key is: its name, unit, range, help text and the environment variable the community
// uses for it.
//
// A config struct lists its fields once, in visit_fields(config, visit), which calls
// visit(FieldInfo, member) for each. Parsing, printing, help, validation, the record and the
// artifact header are visitors over that list. Members are int64_t, double, bool or std::string.
#pragma once
#include <limits>

namespace pg {

struct FieldInfo {
  const char* key = "";
  const char* help = "";
  const char* unit = "";         // "s", "tokens", "bytes"; empty when dimensionless
  const char* environment = "";  // community name such as "MATRIX_LR"; empty when there is none
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  const char* choices = "";  // strings only: "a|b|c"; empty when any text is allowed
};

}  // namespace pg
