#include "harness/record/coder_table.h"

#include <fmt/format.h>

#include "src/text/text_format.h"

namespace pg {

std::vector<std::string> describe_coders(const std::vector<CoderBytes>& coders) {
  std::vector<std::string> lines;
  for (const CoderBytes& c : coders) {
    lines.push_back(fmt::format("coded by {}: model {} + code {} = {} bytes{}",
                                choice_name(c.coder), format_thousands(c.model_bytes),
                                format_thousands(c.code_bytes), format_thousands(c.total_bytes()),
                                c.coder == find_smallest(coders) ? ", the smallest" : ""));
  }
  return lines;
}

JsonObject list_coders(const std::vector<CoderBytes>& coders) {
  JsonObject json;
  for (const CoderBytes& c : coders) json.add(choice_name(c.coder), c.total_bytes());
  return json;
}

}  // namespace pg
