# The sources of the whole program, packed for the launcher of a submission, inside pg_program_bundle; packed anew when one of
# them changes. Included by CMakeLists.txt.
set(program_bundle_cpp ${CMAKE_BINARY_DIR}/program_bundle.cpp)
foreach(folder cmake eval harness kernels quant src)
  foreach(suffix h cuh inc cpp cu cmake txt in toml)
    list(APPEND program_bundle_patterns ${CMAKE_SOURCE_DIR}/${folder}/*.${suffix})
  endforeach()
endforeach()
file(GLOB_RECURSE program_bundle_sources CONFIGURE_DEPENDS ${program_bundle_patterns})
foreach(file CMakeLists.txt packages.txt train_gpt.cpp scripts/bundle_code.py scripts/bundle_program.py scripts/counted_text.py
        scripts/launcher.py)
  list(APPEND program_bundle_sources ${CMAKE_SOURCE_DIR}/${file})
endforeach()
add_custom_command(
  OUTPUT ${program_bundle_cpp}
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/scripts/bundle_program.py pack ${CMAKE_SOURCE_DIR} ${program_bundle_cpp}
  DEPENDS ${program_bundle_sources}
  COMMENT "Packing the program's sources"
  VERBATIM)
add_library(pg_program_bundle STATIC ${program_bundle_cpp})
target_link_libraries(pg_program_bundle PRIVATE pg_options)
target_include_directories(pg_program_bundle PRIVATE ${CMAKE_SOURCE_DIR})
set_target_properties(pg_program_bundle PROPERTIES UNITY_BUILD OFF)
