# The program under disturbance: signals, streams, limits, and one failing call at a time. The shim goes before every other
# library, which the sanitizers' own runtimes do not bear.
set(faults ${CMAKE_CURRENT_SOURCE_DIR}/faults)
set(shim)
if(NOT PG_SANITIZE)
  add_library(fault_shim MODULE ${faults}/fault_shim.cpp)
  target_link_libraries(fault_shim PRIVATE pg_options ${CMAKE_DL_LIBS})
  set(shim $<TARGET_FILE:fault_shim>)
endif()

add_test(NAME Faults.TheProgramAsAProcess
  COMMAND ${Python3_EXECUTABLE} ${faults}/process_test.py $<TARGET_FILE:train_gpt> ${shim})
add_test(NAME Faults.KilledRunsEndWithTheSameBytes
  COMMAND ${Python3_EXECUTABLE} ${faults}/kill_runs.py $<TARGET_FILE:train_gpt> 20)
set_tests_properties(Faults.TheProgramAsAProcess Faults.KilledRunsEndWithTheSameBytes
  PROPERTIES LABELS "cli;slow" TIMEOUT 300)
if(shim)
  add_test(NAME Faults.OneFailingCallHarmsNothing
    COMMAND ${Python3_EXECUTABLE} ${faults}/inject_faults.py $<TARGET_FILE:train_gpt> ${shim})
  set_tests_properties(Faults.OneFailingCallHarmsNothing PROPERTIES LABELS "cli;slow" TIMEOUT 300)
endif()

add_test(NAME Faults.AnyNumberOfRanksEndsWithTheSameBytes
  COMMAND ${Python3_EXECUTABLE} ${faults}/rank_runs.py $<TARGET_FILE:train_gpt>)
set_tests_properties(Faults.AnyNumberOfRanksEndsWithTheSameBytes PROPERTIES LABELS "cli;slow" TIMEOUT 300)

# A checked build takes minutes for it, and compares no more than the other.
if(NOT PG_SANITIZE)
  add_test(NAME Faults.TenRunsComeOutAgainByTheirTapes
    COMMAND ${Python3_EXECUTABLE} ${faults}/replay_runs.py $<TARGET_FILE:train_gpt>)
  set_tests_properties(Faults.TenRunsComeOutAgainByTheirTapes PROPERTIES LABELS "cli;slow" TIMEOUT 300)
endif()
