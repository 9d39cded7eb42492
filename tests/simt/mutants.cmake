# Seeded bugs. Each mutant is the product's own kernel text with one piece replaced, in a namespace of its own, so the
# product carries no hooks; mutants_test.cpp demands that each is caught. A piece that is no longer in the text
# stops the configuration: the mutant must follow the kernel.
set(pg_mutant_headers kernels/pack.h kernels/row_reduce.h kernels/softcap.h)
set(pg_mutant_dir ${CMAKE_BINARY_DIR}/simt)

# pg_mutant(family name find replace): adds namespace pg::kernels::name to mutants_<family>.cpp.
function(pg_mutant family name find replace)
  set(text "")
  foreach(source ${pg_mutant_headers} kernels/${family}.cu)
    file(READ ${CMAKE_SOURCE_DIR}/${source} piece)
    string(APPEND text "${piece}")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${source})
  endforeach()
  string(REPLACE "${find}" "${replace}" mutated "${text}")
  if(mutated STREQUAL text)
    message(FATAL_ERROR "mutant ${name}: \"${find}\" is not in the kernels any more; adapt tests/simt/mutants.cmake")
  endif()
  string(REGEX REPLACE "#(include|pragma once)[^\n]*\n" "" mutated "${mutated}")
  string(REPLACE "namespace pg::kernels {" "namespace pg::kernels::${name} {" mutated "${mutated}")
  set_property(GLOBAL APPEND_STRING PROPERTY pg_mutants_${family}_text "${mutated}")
  if(family STREQUAL "rmsnorm")
    set(row "{&${name}::rmsnorm<float>, &${name}::rmsnorm<bf16>, &${name}::rmsnorm_backward<float>, &${name}::rmsnorm_backward<bf16>}")
  else()
    set(row "{&${name}::softcap_xent, &${name}::softcap_xent_backward<float>, &${name}::softcap_xent_backward<bf16>}")
  endif()
  set_property(GLOBAL APPEND_STRING PROPERTY pg_mutants_${family}_rows "      {\"${name}\", ${row}},\n")
endfunction()

# ---- both layouts of rows: row_reduce.h, pack.h --------------------------------------------------
pg_mutant(rmsnorm drops_the_barrier_of_a_block_sum "  __syncthreads();\n" "")
pg_mutant(rmsnorm stops_the_warp_sum_early "distance > 0; distance /= 2) {\n    value +=" "distance > 1; distance /= 2) {\n    value +=")
pg_mutant(rmsnorm shuffles_with_half_a_mask "value += __shfl_xor_sync(kWholeWarp" "value += __shfl_xor_sync(kWholeWarp >> 16")
pg_mutant(rmsnorm forgets_a_warp_of_the_block "warp < kBlockWarps; ++warp) value +=" "warp + 1 < kBlockWarps; ++warp) value +=")
pg_mutant(rmsnorm loads_past_the_row "if (first + i < size) pack" "if (first + i <= size) pack")
pg_mutant(rmsnorm stores_past_the_row "if (first + i < size) row" "if (first + i <= size) row")
pg_mutant(rmsnorm takes_every_row_for_aligned "% 16 == 0 &&" "% 16 < 16 &&")
pg_mutant(rmsnorm takes_every_size_for_whole_packs "size % kCount == 0" "size % kCount >= 0")
pg_mutant(rmsnorm drops_the_end_of_vector_rows "if (first < size) {" "if (first < size + kCount) {")
pg_mutant(rmsnorm never_accumulates "accumulate ? static_cast<float>(pack.v[i]) + values[i] : values[i]" "values[i]")
# ---- rmsnorm.cu ----------------------------------------------------------------------------------
pg_mutant(rmsnorm runs_past_the_last_row "  if (row >= rows) return;\n" "")
pg_mutant(rmsnorm returns_before_the_reduction "thread_in_row<kRowThreads>() * kPack;\n" "thread_in_row<kRowThreads>() * kPack;\n  if (first >= dim) return;\n")
pg_mutant(rmsnorm leaves_out_eps "inverse_dim + eps" "inverse_dim")
pg_mutant(rmsnorm skips_what_registers_do_not_hold "first + kKept; i < dim; i += kStep) {\n      sum +=" "dim; i < dim; i += kStep) {\n      sum +=")
pg_mutant(rmsnorm steps_by_one_pack_too_many "k * kStep, dim)" "k * (kStep + kPack), dim)")
pg_mutant(rmsnorm projects_with_r_instead_of_its_square "r * r * (sum" "r * (sum")
pg_mutant(rmsnorm adds_the_projection "dy_pack.v[j]) - " "dy_pack.v[j]) + ")
# ---- softcap_xent.cu -----------------------------------------------------------------------------
pg_mutant(softcap_xent keeps_the_old_maximum "    sum *= __expf(top - new_top);\n" "")
pg_mutant(softcap_xent adds_sums_of_different_maxima "sum * __expf(top - row_top)" "sum")
pg_mutant(softcap_xent counts_the_tail_as_logits ".value : -INFINITY" ".value : 0.0f")
pg_mutant(softcap_xent reads_skipped_targets "    if (target < 0) continue;\n" "")
pg_mutant(softcap_xent counts_skipped_weights "row_targets[j] >= 0 ? weights[j] : 0.0f" "weights[j]")
pg_mutant(softcap_xent lets_one_of_equal_targets_win "gradient[i] -= place == i ? row_weight * weights[j] : 0.0f" "gradient[i] = place == i ? weight * __expf(softcap(z.v[i], args).value - row_lse) - row_weight * weights[j] : gradient[i]")
pg_mutant(softcap_xent forgets_the_slope "loss_scale * slope[i]" "loss_scale")
pg_mutant(softcap_xent forgets_the_shift "  z += args.shift;\n" "")
pg_mutant(softcap_xent forgets_the_ratio "args.ratio * *dloss" "*dloss")
pg_mutant(softcap_xent forgets_the_z_loss "weight = row_weight * weight + 2.0f * z_loss * row_lse" "weight = row_weight * weight")
pg_mutant(softcap_xent weighs_no_target_by_its_row "? row_weight * weights[j] : 0.0f" "? weights[j] : 0.0f")
pg_mutant(softcap_xent loses_the_sign "copysignf(cap * (1.0f - e) * q, z)" "(cap * (1.0f - e) * q)")
pg_mutant(softcap_xent shares_one_buffer_for_two_sums "partial[2]);" "partial[1]);")
pg_mutant(softcap_xent shares_one_buffer_for_maximum_and_sum "partial[1]);" "partial[0]);")
pg_mutant(softcap_xent leaves_out_threads_without_columns "const int thread = thread_in_row<kRowThreads>();\n" "const int thread = thread_in_row<kRowThreads>();\n  if (thread * 4 >= vocab) return;\n")
pg_mutant(softcap_xent writes_rows_past_the_end "  if (row >= rows) return;\n" "")
pg_mutant(softcap_xent steps_over_columns "first = thread * kPack; first < vocab; first += kRowThreads * kPack" "first = thread * kPack; first < vocab; first += kRowThreads * kPack + kPack")

foreach(pair rmsnorm:RmsnormFamily softcap_xent:SoftcapXentFamily)
  string(REGEX REPLACE ":.*" "" family ${pair})
  string(REGEX REPLACE ".*:" "" family_type ${pair})
  get_property(text GLOBAL PROPERTY pg_mutants_${family}_text)
  get_property(rows GLOBAL PROPERTY pg_mutants_${family}_rows)
  string(CONCAT content
    "#include \"kernels/${family}.h\"\n"
    "#include \"kernels/dialect.h\"\n"
    "#include \"tests/simt/mutants.h\"\n"
    "${text}"
    "namespace pg::kerneltest {\n"
    "using namespace kernels;\n"
    "std::vector<Mutant<${family_type}>> ${family}_mutants() {\n"
    "  return {\n${rows}  };\n"
    "}\n"
    "}  // namespace pg::kerneltest\n")
  file(CONFIGURE OUTPUT ${pg_mutant_dir}/mutants_${family}.cpp CONTENT "${content}" @ONLY)
  target_sources(simt_test PRIVATE ${pg_mutant_dir}/mutants_${family}.cpp)
  # Thirty copies of each kernel: their speed does not matter, the build's does. Mutants leave things unused.
  set_source_files_properties(${pg_mutant_dir}/mutants_${family}.cpp PROPERTIES COMPILE_OPTIONS "${pg_host_kernel_options};-O1;-w")
endforeach()
