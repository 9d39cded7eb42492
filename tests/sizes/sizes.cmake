# The committed table of sizes (sizes.txt): see size_test.py.
set(size_test ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/size_test.py)
add_test(NAME Sizes.CodeAndArtifactsKeepTheirSize COMMAND ${size_test} code ${CMAKE_BINARY_DIR})
add_test(NAME Sizes.TheProgramKeepsItsSize COMMAND ${size_test} program ${CMAKE_BINARY_DIR})
add_test(NAME Sizes.PlantedGrowthIsCaught COMMAND ${size_test} --self)
set_tests_properties(Sizes.CodeAndArtifactsKeepTheirSize Sizes.TheProgramKeepsItsSize Sizes.PlantedGrowthIsCaught
  PROPERTIES LABELS fast TIMEOUT 60)
set_tests_properties(Sizes.TheProgramKeepsItsSize PROPERTIES SKIP_REGULAR_EXPRESSION "not compared")
