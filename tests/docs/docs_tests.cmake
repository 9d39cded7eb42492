# What the documents quote is what the sources say.
set(excerpts_test ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/excerpts_test.py)
add_test(NAME Docs.QuotedCodeStandsInTheSources COMMAND ${excerpts_test} ${CMAKE_SOURCE_DIR})
add_test(NAME Docs.PlantedMisquotesAreCaught COMMAND ${excerpts_test} --self)
set_tests_properties(Docs.QuotedCodeStandsInTheSources Docs.PlantedMisquotesAreCaught PROPERTIES LABELS fast TIMEOUT 60)

# What each kernel was proven by, as the tree says it.
set(kernel_table ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/kernel_table.py)
add_test(NAME Docs.KernelsAreWhatTheTreeSays COMMAND ${kernel_table} ${CMAKE_SOURCE_DIR})
add_test(NAME Docs.StaleRowsOfKernelsAreCaught COMMAND ${kernel_table} --self)
set_tests_properties(Docs.KernelsAreWhatTheTreeSays Docs.StaleRowsOfKernelsAreCaught PROPERTIES LABELS fast TIMEOUT 60)
