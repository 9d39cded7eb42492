# The map of the public scripts' weights, as a text inside pg_harness_exchange. Included by CMakeLists.txt.
set(public_weights_toml ${CMAKE_SOURCE_DIR}/harness/exchange/public_weights.toml)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${public_weights_toml})
file(READ ${public_weights_toml} PG_PUBLIC_WEIGHTS)
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/public_weights.cpp @ONLY CONTENT [[// Written by cmake/public_weights.cmake.
#include "harness/exchange/weight_map.h"

namespace pg {

const char* const kPublicWeights = R"toml(@PG_PUBLIC_WEIGHTS@)toml";

}  // namespace pg
]])
target_sources(pg_harness_exchange PRIVATE ${CMAKE_BINARY_DIR}/public_weights.cpp)
