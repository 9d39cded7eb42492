# Tests of the finished program and of the tree, in Python's standard library: one test per case of tests/cli/cases/,
# and the layers.
find_package(Python3 REQUIRED COMPONENTS Interpreter)  # python3

file(GLOB cli_cases CONFIGURE_DEPENDS LIST_DIRECTORIES true ${CMAKE_CURRENT_SOURCE_DIR}/cli/cases/*)
set(slow_cli_cases full_run interrupt_and_resume removed_folder torn_logs unwritable_record)
foreach(case ${cli_cases})
  get_filename_component(name ${case} NAME)
  add_test(NAME Cli.${name} COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/cli/run_cli_tests.py
    $<TARGET_FILE:train_gpt> ${case})
  set(labels cli)
  if(name IN_LIST slow_cli_cases)
    list(APPEND labels slow)
  endif()
  set_tests_properties(Cli.${name} PROPERTIES LABELS "${labels}" TIMEOUT 300)
endforeach()

foreach(argument --self ${CMAKE_SOURCE_DIR})
  set(name Layering.PlantedViolationsAreCaught)
  if(NOT argument STREQUAL "--self")
    set(name Layering.EveryIncludeIsAllowed)
  endif()
  add_test(NAME ${name}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/layering/layering_test.py ${argument})
  set_tests_properties(${name} PROPERTIES LABELS fast TIMEOUT 60)
endforeach()

add_test(NAME Cli.PublicLibraryReadsExportedWeights
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/cli/safetensors_peer_test.py
  $<TARGET_FILE:train_gpt> ${CMAKE_SOURCE_DIR})
set_tests_properties(Cli.PublicLibraryReadsExportedWeights PROPERTIES LABELS cli TIMEOUT 60
  SKIP_REGULAR_EXPRESSION "did not run")

add_test(NAME Cli.SecondReaderAgreesOnArtifacts
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/cli/artifact_peer_test.py
  $<TARGET_FILE:train_gpt> ${CMAKE_SOURCE_DIR})
set_tests_properties(Cli.SecondReaderAgreesOnArtifacts PROPERTIES LABELS cli TIMEOUT 60)
# Pages about the committed records and about a hostile one.
add_test(NAME Cli.ReportNeedsNothingBesideItself
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/cli/report_test.py $<TARGET_FILE:train_gpt> ${CMAKE_SOURCE_DIR})
set_tests_properties(Cli.ReportNeedsNothingBesideItself PROPERTIES LABELS cli TIMEOUT 120)
