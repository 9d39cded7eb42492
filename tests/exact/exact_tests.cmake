# cpu:f32 and all that scores and packs has the same bits on every processor and in every build: the table is compared in each.
add_executable(exact_digests exact/exact_digests_main.cpp exact/digests_training.cpp exact/digests_text.cpp exact/digests_packing.cpp)
target_link_libraries(exact_digests PRIVATE pg_train pg_quant_method pg_eval_learn pg_eval_code pg_device_cpu)
set(exact_table ${CMAKE_CURRENT_LIST_DIR}/exact_digests.txt)
add_test(NAME Exact.TrainingScoringAndPackingHaveTheSameBits COMMAND exact_digests ${exact_table})
set_tests_properties(Exact.TrainingScoringAndPackingHaveTheSameBits PROPERTIES LABELS fast TIMEOUT 300)
