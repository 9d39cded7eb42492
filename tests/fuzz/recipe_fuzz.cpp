// Recipe files and --set on any bytes: an Error or a recipe whose canonical text reads back to
// itself.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "harness/recipe/recipe.h"
#include "src/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  pg::Recipe recipe, again;
  try {
    pg::apply_override(recipe, text);
  } catch (const pg::Error&) {
  }
  try {
    pg::apply_toml(recipe, text, "recipe.toml");
  } catch (const pg::Error&) {
  }
  pg::apply_toml(again, pg::write_recipe(recipe), "canonical.toml");
  if (!pg::describe_difference(again, recipe).empty()) std::abort();
  return 0;
}
