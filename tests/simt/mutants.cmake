# Seeded bugs. Each mutant is the product's own kernel text with one piece replaced, in a namespace of its own, so the
# product carries no hooks; mutants_test.cpp demands that each is caught. A piece that is no longer in the text
# stops the configuration: the mutant must follow the kernel.
# The headers that kernels are inlined from: a mutant has copies of its own, since the bug may be in one.
set(pg_mutant_headers kernels/pack.h kernels/row_reduce.h kernels/softcap.h kernels/matrix_packs.h kernels/row_map.h)
set(pg_mutant_dir ${CMAKE_BINARY_DIR}/simt)

# pg_mutant_family(family type launcher... [SOURCES header...]): mutants of kernels/family.cu, each a `type` of these
# launchers, with copies of these headers too.
function(pg_mutant_family family type)
  cmake_parse_arguments(arg "" "" "SOURCES" ${ARGN})
  set_property(GLOBAL APPEND PROPERTY pg_mutant_families ${family})
  set_property(GLOBAL PROPERTY pg_mutants_${family}_type ${type})
  set_property(GLOBAL PROPERTY pg_mutants_${family}_launchers "${arg_UNPARSED_ARGUMENTS}")
  set_property(GLOBAL PROPERTY pg_mutants_${family}_headers "${pg_mutant_headers};${arg_SOURCES}")
endfunction()

# pg_mutate(out name find replace source...): the sources one after another, with a piece replaced.
function(pg_mutate out name find replace)
  set(text "")
  foreach(source ${ARGN})
    file(READ ${CMAKE_SOURCE_DIR}/${source} piece)
    string(APPEND text "${piece}")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${source})
  endforeach()
  string(REPLACE "${find}" "${replace}" mutated "${text}")
  if(mutated STREQUAL text)
    message(FATAL_ERROR "mutant ${name}: \"${find}\" is not in the kernels any more; adapt tests/simt/mutants.cmake")
  endif()
  set(${out} "${mutated}" PARENT_SCOPE)
endfunction()

# pg_mutant(family name find replace): adds namespace pg::kernels::name to mutants_<family>.cpp.
function(pg_mutant family name find replace)
  get_property(headers GLOBAL PROPERTY pg_mutants_${family}_headers)
  pg_mutate(mutated ${name} "${find}" "${replace}" ${headers} kernels/${family}.cu)
  foreach(header ${headers})
    string(REPLACE "#include \"${header}\"\n" "" mutated "${mutated}")
  endforeach()
  string(REPLACE "#pragma once\n" "" mutated "${mutated}")
  string(REPLACE "namespace pg::kernels {" "namespace pg::kernels::${name} {" mutated "${mutated}")
  get_property(launchers GLOBAL PROPERTY pg_mutants_${family}_launchers)
  if(NOT launchers MATCHES "<float>")  # instantiations that nobody asks for take time alone
    string(REGEX REPLACE "template void [a-z0-9_]+<float>\\([^;]*;" "" mutated "${mutated}")
  endif()
  # One head size of attention is enough, and takes a quarter of the time to compile.
  string(REGEX REPLACE "launch_(attention|backward)<(32|64|128), [^>]*>" "launch_\\1<16, 2, 4, 64>" mutated "${mutated}")
  set_property(GLOBAL APPEND_STRING PROPERTY pg_mutants_${family}_text "${mutated}")
  list(TRANSFORM launchers PREPEND "&${name}::")
  list(JOIN launchers ", " row)
  set_property(GLOBAL APPEND_STRING PROPERTY pg_mutants_${family}_rows "      {\"${name}\", {${row}}},\n")
endfunction()

pg_mutant_family(rmsnorm RmsnormFamily
  rmsnorm<float> rmsnorm<bf16> rmsnorm_backward<float> rmsnorm_backward<bf16>)
pg_mutant_family(softcap_xent SoftcapXentFamily
  softcap_xent softcap_xent_backward<float> softcap_xent_backward<bf16> softcap_xent_sides_backward)
pg_mutant_family(adamw AdamwFamily adamw)
pg_mutant_family(muon MuonFamily muon_momentum apply_update)
pg_mutant_family(neurons NeuronsFamily normuon balance_neurons)
pg_mutant_family(newton_schulz NewtonSchulzFamily
  start_newton_schulz<bf16> sum_almost_orthogonal scale_gram<bf16> end_newton_schulz<bf16>)
pg_mutant_family(reduce ReduceFamily sum_pieces_of_values sum_pieces_of_squares sum_tree clip_coefficient)
pg_mutant_family(log_probs LogProbsFamily softcap_log_probs)
pg_mutant_family(add_scaled AddScaledFamily<bf16> add_scaled<bf16> add_scaled_backward<bf16>)
pg_mutant_family(mix MixFamily<bf16> mix<bf16> mix_backward<bf16>)
pg_mutant_family(leaky_relu2 LeakyRelu2Family<bf16> leaky_relu2<bf16> leaky_relu2_backward<bf16>)
pg_mutant_family(swiglu SwigluFamily<bf16> swiglu<bf16> swiglu_backward<bf16>)
pg_mutant_family(gated_mix GatedMixFamily<bf16> gated_mix<bf16> gated_mix_backward<bf16>)
pg_mutant_family(blend BlendFamily<bf16> blend<bf16> blend_backward<bf16>)
pg_mutant_family(total_sums TotalSumsFamily sum_totals)

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
pg_mutant(rmsnorm never_accumulates "accumulate ? add_rounded(static_cast<float>(pack.v[i]), values[i]) : values[i]" "values[i]")
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
pg_mutant(softcap_xent counts_skipped_weights "targets_[j] >= 0 ? weights[j] : 0.0f" "weights[j]")
pg_mutant(softcap_xent lets_one_of_equal_targets_win "gradient[i] -= place == i ? row_weight_ * weights_[j] : 0.0f" "gradient[i] = place == i ? -row_weight_ * weights_[j] : gradient[i]")
pg_mutant(softcap_xent takes_the_other_side_of_logits "of_sign(z, form.up, form.down)" "of_sign(z, form.down, form.up)")
pg_mutant(softcap_xent keeps_the_ratio_of_one_cap "form.cap == 0.0f || form.sides != nullptr ? 1.0f : form.cap / form.width" "form.cap == 0.0f ? 1.0f : form.cap / form.width / (form.sides != nullptr ? 2.0f : 1.0f)")
pg_mutant(softcap_xent forgets_what_the_argument_gives_to_a_side "inverse * (c.value - z.v[i] * c.slope)" "inverse * c.value")
pg_mutant(softcap_xent gives_the_tail_to_a_side "first + i < vocab ? gradient[i] * of_side[i] : 0.0f" "gradient[i] * (first + i < vocab ? of_side[i] : 1.0f)")
pg_mutant(softcap_xent shares_one_buffer_for_both_sides "of_warps[1]);" "of_warps[0]);")
pg_mutant(softcap_xent counts_every_logit_up "up += z.v[i] > 0.0f ? part : 0.0f" "up += part")
pg_mutant(softcap_xent leaves_the_first_row_of_later_chunks_out "int64_t row = begin; row < end" "int64_t row = begin + (blockIdx.x != 0 ? 1 : 0); row < end")
pg_mutant(softcap_xent forgets_the_slope "loss_scale * slope[i]" "loss_scale")
pg_mutant(softcap_xent forgets_the_shift "  z += form.shift;\n" "")
pg_mutant(softcap_xent forgets_the_ratio "args.ratio * *dloss" "*dloss")
pg_mutant(softcap_xent forgets_the_z_loss "weight_ = row_weight_ * weight + 2.0f * z_loss * lse_" "weight_ = row_weight_ * weight")
pg_mutant(softcap_xent weighs_no_target_by_its_row "? row_weight_ * weights_[j] : 0.0f" "? weights_[j] : 0.0f")
pg_mutant(softcap_xent loses_the_sign "copysignf(cap * (1.0f - e) * q, z)" "(cap * (1.0f - e) * q)")
pg_mutant(softcap_xent shares_one_buffer_for_two_sums "partial[2]);" "partial[1]);")
pg_mutant(softcap_xent shares_one_buffer_for_maximum_and_sum "partial[1]);" "partial[0]);")
pg_mutant(softcap_xent leaves_out_threads_without_columns "const int thread = thread_in_row<kRowThreads>();\n" "const int thread = thread_in_row<kRowThreads>();\n  if (thread * 4 >= vocab) return;\n")
pg_mutant(softcap_xent writes_rows_past_the_end "  if (row >= rows) return;\n" "")
pg_mutant(softcap_xent steps_over_columns "first = thread * kPack; first < vocab; first += kRowThreads * kPack" "first = thread * kPack; first < vocab; first += kRowThreads * kPack + kPack")

# ---- matrix_packs.h, adamw.cu --------------------------------------------------------------------
pg_mutant(adamw takes_every_start_for_aligned "% 16 == 0 && (count" "% 16 < 16 && (count")
pg_mutant(adamw counts_an_element_too_many "const int64_t left = size - start;" "const int64_t left = size - start + 1;")
pg_mutant(adamw ignores_a_nan "  if (is_nan(clip)) return;\n" "")
pg_mutant(adamw decays_against_the_momentum "old_p.v[i] > 0.0f" "old_p.v[i] < 0.0f")
pg_mutant(adamw leaves_out_a_bias "sqrtf(new_v[i] * inverse_bias2)" "sqrtf(new_v[i])")
pg_mutant(adamw squares_the_unclipped_gradient "(clipped * clipped)" "(gradient.v[i] * clipped)")
pg_mutant(adamw updates_with_the_old_momentum "step_size * new_m[i]" "step_size * old_m.v[i]")
# ---- muon.cu -------------------------------------------------------------------------------------
pg_mutant(muon writes_between_the_matrices "(shape.size())" "(shape.stride)")
pg_mutant(muon packs_the_matrices "matrix_of_block(grid) * stride" "matrix_of_block(grid) * grid.size")
pg_mutant(muon leaves_out_nesterov "update[i] = fmaf(mu, new_m[i], clipped)" "update[i] = new_m[i]")
pg_mutant(muon repeats_the_first_pack "(run * kPacks + k)" "(run * kPacks)")
pg_mutant(muon norms_without_a_floor "fmaxf(sqrtf(squares), kMinRowNorm)" "sqrtf(squares)")
pg_mutant(muon runs_past_the_last_row "  if (row >= shape.count * shape.rows) return;\n" "")
pg_mutant(muon remakes_another_update "update.v[j], clip * gradient.v[j])" "update.v[j], gradient.v[j])")
pg_mutant(muon drops_the_barrier_of_a_norm "  __syncthreads();\n" "")
pg_mutant(muon is_cautious_when_it_should_not "!cautious || update" "cautious || update")
# ---- neurons.cu ----------------------------------------------------------------------------------
pg_mutant(neurons forgets_the_last_chunk "chunk = 1; chunk < chunks" "chunk = 1; chunk + 1 < chunks")
pg_mutant(neurons sums_rows_of_all_chunks_behind "first + kChunkRows < shape.rows ? first + kChunkRows : shape.rows" "shape.rows")
pg_mutant(neurons keeps_the_size_of_what_it_made "sqrt(before)" "sqrt(after)")
pg_mutant(neurons divides_without_a_floor "fmax(mean, kMinNeuronSquare)" "mean")
pg_mutant(neurons scales_after_a_nan " || is_nan(scalar_or_one(coefficient))" "")
pg_mutant(neurons shares_one_buffer_of_sums "partial[1]);" "partial[0]);")
pg_mutant(neurons takes_a_factor_of_the_first_matrix "factors + matrix * shape.cols" "factors")
pg_mutant(neurons balances_with_the_old_factor "factor = static_cast<double>(d[place]) * pow" "factor = pow")
# ---- newton_schulz.cu ----------------------------------------------------------------------------
pg_mutant(newton_schulz reads_one_sum_of_squares "i < pieces; i += kWarpThreads" "i < 1; i += kWarpThreads")
pg_mutant(newton_schulz scales_the_longer_side "is_tall ? column : row]" "is_tall ? row : column]")
pg_mutant(newton_schulz stays_in_its_row "        ++row;\n" "")
pg_mutant(newton_schulz sums_with_signs "fabsf(values[k])" "values[k]")
pg_mutant(newton_schulz scales_one_side_of_the_gram "of_row * scales[begin + i]" "of_row")
pg_mutant(newton_schulz packs_what_it_ends "u + matrix * stride + at" "u + matrix * grid.size + at")
# ---- reduce.cu -----------------------------------------------------------------------------------
pg_mutant(reduce adds_far_leaves_first "int width = 1; width < kWarpThreads; width *= 2" "int width = kWarpThreads / 2; width > 0; width /= 2")
pg_mutant(reduce keeps_the_lowest_leaves "    pieces = scratch;\n" "")
pg_mutant(reduce forgets_what_was_there "sums.accumulate ? *to + sum : sum" "sum")
pg_mutant(reduce squares_every_value "kSquares ? value * value : value" "value * value")
pg_mutant(reduce sums_past_the_piece "left < kSummedPiece ? left : kSummedPiece" "left")
pg_mutant(reduce drops_the_barrier_of_a_piece "  __syncthreads();\n" "")
pg_mutant(reduce clips_what_is_not_finite "is_finite ? static_cast<float>(clip) : NAN" "static_cast<float>(clip)")
# ---- log_probs.cu --------------------------------------------------------------------------------
pg_mutant(log_probs sums_the_tail "      if (i + j >= vocab) continue;\n" "")
pg_mutant(log_probs takes_the_tail_for_the_top "i + j < vocab ? fmaxf(top, c.v[j]) : top" "fmaxf(top, c.v[j])")
pg_mutant(log_probs shares_one_buffer_of_moments "partial[1]);" "partial[0]);")
pg_mutant(log_probs makes_anew_without_the_cap "body(load_capped(i), i)" "body(load_pack<kPack, kVector>(z_row, i, vocab), i)")
pg_mutant(log_probs adds_the_moment "log_mass - moment" "log_mass + moment")
pg_mutant(log_probs runs_past_the_last_distribution "  if (row >= rows) return;\n" "")
# ---- row_map.h -----------------------------------------------------------------------------------
pg_mutant(mix drops_the_barrier_of_column_sums "  __syncthreads();\n  constexpr int kTile" "  constexpr int kTile")
pg_mutant(mix drops_the_barrier_between_column_sums "  __syncthreads();  // `shared`" "  // `shared`")
pg_mutant(mix forgets_a_warp_of_column_sums "w < kBlockWarps; ++w) sum +=" "w + 1 < kBlockWarps; ++w) sum +=")
pg_mutant(mix takes_rows_for_dense "at * map.in[k].stride" "at * map.columns")
pg_mutant(mix forgets_what_an_output_holds "if (map.out[k].accumulate) {" "if (false) {")
pg_mutant(mix takes_weights_for_aligned "% 16 == 0 && first" "% 4 == 0 && first")
pg_mutant(blend runs_past_the_last_element "map.count - at * map.columns" "map.columns")
pg_mutant(blend shares_one_buffer_of_totals "shared[k]);\n        if" "shared[0]);\n        if")
pg_mutant(blend totals_one_element_of_a_pack "sum += op.sums[k][i];" ";")
# ---- add_scaled.cu, mix.cu, leaky_relu2.cu, swiglu.cu, gated_mix.cu, blend.cu --------------------
pg_mutant(add_scaled swaps_the_scales_of_the_sums "sums[1][i] = s1 * sums" "sums[1][i] = s2 * sums")
pg_mutant(add_scaled forgets_the_second_scale "scale(s1 * s2)" "scale(s1)")
pg_mutant(mix weighs_both_alike "b[i] * x[1]" "a[i] * x[1]")
pg_mutant(leaky_relu2 multiplies_by_the_input "l * l" "l * x[0]")
pg_mutant(leaky_relu2 forgets_the_square_of_the_slope "2.0f * args.value * args.value" "2.0f * args.value")
pg_mutant(swiglu forgets_the_gate_itself "x[0] * sigmoid(x[0])" "sigmoid(x[0])")
pg_mutant(swiglu takes_silu_for_the_sigmoid "fmaf(gate, 1.0f - s, 1.0f)" "(1.0f - s)")
pg_mutant(gated_mix forgets_the_weight_of_the_gate "fmaf(-gates.w[i], x[2], x[1])" "(x[1] - x[2])")
pg_mutant(gated_mix scales_by_the_wrong_gate "sums[0][i] *= 1.0f - gates.g[i]" "sums[0][i] *= gates.g[i]")
pg_mutant(blend forgets_the_slope_of_the_sigmoid "sums[1][i] *= slope" "sums[1][i] *= 1.0f")
# ---- total_sums.cu -------------------------------------------------------------------------------
pg_mutant(total_sums reads_the_first_sum_for_every_total "int64_t{blockIdx.x} * count" "0 * count")
pg_mutant(total_sums writes_every_total_to_the_first "blockIdx.x == 0 ? totals.out[0] : totals.out[1]" "totals.out[0]")
pg_mutant(total_sums steps_over_partial_sums "first += kAhead * kBlockThreads" "first += 2 * kAhead * kBlockThreads")
pg_mutant(total_sums totals_past_the_last "at < count ?" "at <= count ?")

# ---- ops: kernels checked by the cases of their ops ----------------------------------------------
# pg_op_mutant(kernel table name find replace): the product's op table cuda_ops_<table>.cpp on kernels/<kernel>.cu with a
# piece of it, or of what it includes, replaced. Everything lies in namespaces of the mutant's name.
set(pg_op_mutant_headers kernels/pack.h kernels/row_reduce.h kernels/head_rows.h kernels/warp_columns.h kernels/sigmoid.h)
function(pg_op_mutant kernel table name find replace)
  pg_mutate(mutated ${name} "${find}" "${replace}" ${pg_op_mutant_headers} kernels/${kernel}.cu)
  string(REPLACE "namespace pg::kernels {" "namespace pg::kernels::${name} {\nusing namespace pg::kernels;" mutated "${mutated}")
  # The methods of the table become those of a class that leaves all other ops to the reference.
  set(table_file ${CMAKE_SOURCE_DIR}/src/device/cuda/cuda_ops_${table}.cpp)
  file(READ ${table_file} ops)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${table_file})
  string(REPLACE "namespace pg {" "namespace pg::${name} {\nnamespace kernels = pg::kernels::${name};" ops "${ops}")
  string(REPLACE "}  // namespace\n" "}\nstruct MutantOps final : kerneltest::OpsOfMutant {\n  using OpsOfMutant::OpsOfMutant;\n" ops "${ops}")
  string(REPLACE "void CudaOps::" "void " ops "${ops}")
  string(REPLACE "}  // namespace pg\n" "};\n}\n" ops "${ops}")
  string(REGEX REPLACE "#(include|pragma once)[^\n]*\n" "" mutated "${mutated}${ops}")
  set_property(GLOBAL APPEND PROPERTY pg_op_mutant_kernels ${kernel})
  set_property(GLOBAL PROPERTY pg_mutants_${kernel}_table ${table_file})
  set_property(GLOBAL APPEND_STRING PROPERTY pg_mutants_${kernel}_text "${mutated}")
  set_property(GLOBAL APPEND_STRING PROPERTY pg_mutants_${kernel}_rows "      {\"${name}\", &make_ops_of_mutant<pg::${name}::MutantOps>},\n")
endfunction()

# ---- heads of rows: head_rows.h, qk_norm_rope.cu, xsa.cu -----------------------------------------
pg_op_mutant(qk_norm_rope norm stops_the_head_sum_early "distance > 0; distance /= 2) {\n    value += __shfl_xor_sync(kWholeWarp, value, distance);\n  }\n  return value;\n}\n\n// Whether kVector" "distance > 1; distance /= 2) {\n    value += __shfl_xor_sync(kWholeWarp, value, distance);\n  }\n  return value;\n}\n\n// Whether kVector")
pg_op_mutant(qk_norm_rope norm leaves_before_the_head_sum "  float sum = 0.0f;\n" "  float sum = 0.0f;\n  if (size == 0) return;\n")
pg_op_mutant(qk_norm_rope norm takes_every_stride_for_aligned "&& stride % kPackOf<T> == 0" "&& stride > 0")
pg_op_mutant(qk_norm_rope norm takes_every_half_for_whole_packs "heads.rope_dims / 2 % kPackOf<T> == 0" "heads.rope_dims % 2 == 0")
pg_op_mutant(qk_norm_rope norm forgets_heads_beyond_a_block "static_cast<int>(blockIdx.y) * threads.heads_in_block() + " "")
pg_op_mutant(qk_norm_rope norm turns_beyond_the_rope_dims "rope_dims < size ? rope_dims : size" "size")
pg_op_mutant(qk_norm_rope norm turns_backward_the_same_way "heads.rope_dims, -1.0f" "heads.rope_dims, 1.0f")
pg_op_mutant(qk_norm_rope norm forgets_the_first_position "heads.first + row % heads.tokens" "row % heads.tokens")
pg_op_mutant(qk_norm_rope norm runs_positions_on_over_sequences "position_of(heads, row) * heads.rope_dims" "row * heads.rope_dims")
pg_op_mutant(qk_norm_rope norm counts_positions_from_the_start_of_the_row "position - heads.starts[row]" "position")
pg_op_mutant(qk_norm_rope norm rotates_the_gradient_after_the_mean "fmaf(values[i], static_cast<float>(x_own.v[i]), sum)" "fmaf(static_cast<float>(dy_own.v[i]), static_cast<float>(x_own.v[i]), sum)")
pg_op_mutant(qk_norm_rope norm forgets_the_gain_in_the_mean "(head_gain * (sum * inverse_size))" "(sum * inverse_size)")
pg_op_mutant(qk_norm_rope norm drops_the_barrier_before_the_gains "  __syncthreads();\n  const int head" "  const int head")
pg_op_mutant(qk_norm_rope norm forgets_rows_of_the_block "i < threads.rows_in_block(); ++i) sum" "i + 1 < threads.rows_in_block(); ++i) sum")
pg_op_mutant(xsa norm adds_its_own_part "fmaf(-along," "fmaf(along,")
pg_op_mutant(xsa norm uses_another_kv_head "place.head * group) * heads.size" "place.head) * heads.size")
pg_op_mutant(xsa norm ignores_the_stride_of_values "v + row * heads.v_stride" "v + row * heads.kv_heads * heads.size")
pg_op_mutant(xsa norm ignores_the_stride_of_gradients "dv.data + row * dv_stride" "dv.data + row * heads.kv_heads * heads.size")
pg_op_mutant(xsa norm divides_by_zero "fmaxf(norm, kMinNorm)" "norm")
pg_op_mutant(xsa norm forgets_the_norm_of_values_once "direction.inverse_norm * fmaf(along_u" "fmaf(along_u")
pg_op_mutant(xsa norm projects_once_instead_of_twice "fmaf(2.0f * a, b, along_u)" "fmaf(a, b, along_u)")
pg_op_mutant(xsa norm keeps_the_last_head_of_a_group "along_u = fmaf(2.0f * a, b, along_u)" "along_u = 2.0f * a * b")
# ---- mix_rmsnorm.cu ------------------------------------------------------------------------------
pg_op_mutant(mix_rmsnorm norm forgets_what_registers_do_not_hold "sum += sum_squares(mix_rest(y, i))" "mix_rest(y, i)")
pg_op_mutant(mix_rmsnorm norm swaps_the_factors "load_factors<kPack, kVector>(streams.a" "load_factors<kPack, kVector>(streams.b")
pg_op_mutant(mix_rmsnorm norm takes_absent_factors_for_zeros "ones.v[i] = 1.0f" "ones.v[i] = 0.0f")
pg_op_mutant(mix_rmsnorm norm adds_the_mix_rounded_twice "store_pack<kVector>(y.data + at, values, first" "for (int i = 0; i < kPack; ++i) values[i] = static_cast<float>(mixed.v[i]);\n  if (y.data != nullptr) store_pack<kVector>(y.data + at, values, first")
pg_op_mutant(mix_rmsnorm norm forgets_a_chunk_s_last_row "begin + chunk_rows < streams.rows ? begin + chunk_rows : streams.rows" "begin + chunk_rows < streams.rows ? begin + chunk_rows : streams.rows - 1")
pg_op_mutant(mix_rmsnorm norm shares_one_array_among_rows "  turn ^= 1;\n" "")
pg_op_mutant(mix_rmsnorm norm reads_places_of_the_round_before "(warp % half + half) % (kBlockWarps / 2)" "warp % half")
pg_op_mutant(mix_rmsnorm norm drops_the_barrier_between_warps "    __syncthreads();\n    if (warp < half)" "    if (warp < half)")
pg_op_mutant(mix_rmsnorm norm leaves_out_the_first_gradient "fmaf(scale * r, normed, static_cast<float>(dy_packs[k].v[j]))" "scale * r * normed")
pg_op_mutant(mix_rmsnorm norm writes_both_sums_to_one "k < kPacks ? 0 : int64_t{gridDim.x}" "int64_t{0}")
# ---- gate_heads.cu -------------------------------------------------------------------------------
pg_op_mutant(gate_heads norm gates_every_head_by_the_first "w + int64_t{h} * s.width, s.width" "w, s.width")
pg_op_mutant(gate_heads norm reads_gates_that_others_still_write "  __syncwarp();\n  const int64_t at" "  const int64_t at")
pg_op_mutant(gate_heads norm stays_in_the_head_of_a_pack "        place = 0;\n        ++head;\n" "")
pg_op_mutant(gate_heads norm leaves_channels_that_no_gate_reads "dn.accumulate ? shape.width : dim" "shape.width")
pg_op_mutant(gate_heads norm sums_gates_of_all_chunks_behind "begin + chunk_rows < shape.rows ? begin + chunk_rows : shape.rows" "shape.rows")
# ---- mix_layers.cu -------------------------------------------------------------------------------
pg_op_mutant(mix_layers layers takes_the_first_layer_for_the_last "j + 1 == s.count ? a[j] + 1.0f" "j == 0 ? a[j] + 1.0f")
pg_op_mutant(mix_layers layers reads_shares_that_others_still_write "  __syncwarp();\n  for (int first" "  for (int first")
pg_op_mutant(mix_layers layers forgets_what_a_warp_does_not_hold_of_h "k < shape.hidden; k += kWarpThreads) {\n    const float x" "k < shape.hidden && k < kWarpThreads; k += kWarpThreads) {\n    const float x")
pg_op_mutant(mix_layers layers takes_gelu_for_its_slope "fmaf(x * g * (1.0f - g), inner, g) * sum" "x * g * sum")
pg_op_mutant(mix_layers layers sums_layers_of_all_chunks_behind "begin + chunk_rows < shape.rows ? begin + chunk_rows : shape.rows" "shape.rows")
# ---- scale_rows.cu, cast.cu ----------------------------------------------------------------------
pg_op_mutant(scale_rows weights runs_matrices_together "matrix * shape.stride + in_matrix" "row")
pg_op_mutant(scale_rows weights takes_scales_for_dense "matrix * shape.s_stride + in_matrix" "row")
pg_op_mutant(scale_rows weights sums_what_is_scaled "sum = fmaf(dy_packs[k].v[i]," "sum = fmaf(scale * dy_packs[k].v[i],")
pg_op_mutant(scale_rows weights goes_past_the_last_row "  if (row >= shape.count * shape.rows) return;\n" "")
pg_op_mutant(cast weights drops_the_end_of_the_last_block "(count + kBlockElements<kPack> - 1) / kBlockElements<kPack>" "count / kBlockElements<kPack> + 1 - (count > kBlockElements<kPack>)")
pg_op_mutant(cast weights overwrites_instead_of_adding "range.size, y.accumulate" "range.size, false")
pg_op_mutant(cast weights swaps_average_and_sample "fmaf(kept, averages[k].v[i], taken * packs[k].v[i])" "fmaf(taken, averages[k].v[i], kept * packs[k].v[i])")
pg_op_mutant(cast weights strides_over_packs "(k * kBlockThreads + static_cast<int>(threadIdx.x)) * kPack" "(k * (kBlockThreads + 1) + static_cast<int>(threadIdx.x)) * kPack")

include(${CMAKE_CURRENT_LIST_DIR}/mutants_of_rows.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/mutants_of_attention.cmake)

# Families whose mutants nvcc compiles too, to PTX that the host runs (ptx/): a reduction in double with shuffles, the map of
# rows with column sums, matrices that do not lie side by side.
set(pg_mutants_by_ptx reduce mix muon)

# pg_ptx_of_mutants(family text): mutants/family.ptx.
function(pg_ptx_of_mutants family text)
  set(source ${pg_mutant_dir}/mutants_${family}.cu)
  set(ptx ${pg_kernel_ptx_dir}/mutants/${family}.ptx)
  file(CONFIGURE OUTPUT ${source} CONTENT "#include \"kernels/dialect.h\"\n${text}" @ONLY)
  file(MAKE_DIRECTORY ${pg_kernel_ptx_dir}/mutants)
  add_custom_command(OUTPUT ${ptx} DEPENDS ${source} DEPFILE ${ptx}.d VERBATIM
    COMMAND ${CMAKE_CUDA_COMPILER} -ptx -arch=compute_80 -std=c++20 --expt-relaxed-constexpr -w -I${CMAKE_SOURCE_DIR}
      -MD -MF ${ptx}.d -MT ${ptx} ${source} -o ${ptx})
  target_sources(simt_test PRIVATE ${ptx})
endfunction()

get_property(pg_mutant_family_names GLOBAL PROPERTY pg_mutant_families)
foreach(family ${pg_mutant_family_names})
  get_property(family_type GLOBAL PROPERTY pg_mutants_${family}_type)
  get_property(text GLOBAL PROPERTY pg_mutants_${family}_text)
  get_property(rows GLOBAL PROPERTY pg_mutants_${family}_rows)
  string(CONCAT content
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
  if(PG_HAVE_CUDA AND family IN_LIST pg_mutants_by_ptx)
    pg_ptx_of_mutants(${family} "${text}")
  endif()
  # Thirty copies of each kernel: their speed does not matter, the build's does. Mutants leave things unused.
  set_source_files_properties(${pg_mutant_dir}/mutants_${family}.cpp PROPERTIES COMPILE_OPTIONS "${pg_host_kernel_options};-O1;-w")
endforeach()

get_property(kernels GLOBAL PROPERTY pg_op_mutant_kernels)
list(REMOVE_DUPLICATES kernels)
foreach(kernel ${kernels})
  get_property(text GLOBAL PROPERTY pg_mutants_${kernel}_text)
  get_property(rows GLOBAL PROPERTY pg_mutants_${kernel}_rows)
  get_property(table_file GLOBAL PROPERTY pg_mutants_${kernel}_table)
  file(STRINGS ${table_file} includes REGEX "^#include")
  list(JOIN includes "\n" includes)
  string(CONCAT content
    "${includes}\n"
    "#include \"kernels/dialect.h\"\n"
    "#include \"tests/simt/mutants.h\"\n"
    "${text}"
    "namespace pg::kerneltest {\n"
    "std::vector<OpMutant> ${kernel}_mutants() {\n"
    "  return {\n${rows}  };\n"
    "}\n"
    "}  // namespace pg::kerneltest\n")
  file(CONFIGURE OUTPUT ${pg_mutant_dir}/mutants_${kernel}.cpp CONTENT "${content}" @ONLY)
  target_sources(simt_test PRIVATE ${pg_mutant_dir}/mutants_${kernel}.cpp)
  set_source_files_properties(${pg_mutant_dir}/mutants_${kernel}.cpp PROPERTIES COMPILE_OPTIONS "${pg_host_kernel_options};-O1;-w")
endforeach()
