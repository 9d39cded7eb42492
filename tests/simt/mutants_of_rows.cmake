# Seeded bugs in the kernels that look up, sort, move and mix whole rows; see mutants.cmake.

# ---- sort_ids.cu ---------------------------------------------------------------------------------
pg_mutant_family(sort_ids SortFamily sort_ids)
pg_mutant(sort_ids scans_before_all_have_counted "  __syncthreads();\n  int place" "  int place")
pg_mutant(sort_ids places_rows_before_all_places_are_known "  __syncthreads();\n\n  const unsigned lanes_below" "  const unsigned lanes_below")
pg_mutant(sort_ids moves_a_place_that_others_still_read "    __syncwarp();\n    if (is_valid) {" "    if (is_valid) {")
pg_mutant(sort_ids forgets_a_warp_of_the_scan "before < warp; ++before" "before + 1 < warp; ++before")
pg_mutant(sort_ids counts_a_chunk_as_before_itself "first + i < chunk)" "first + i <= chunk)")
pg_mutant(sort_ids gives_lanes_of_a_digit_one_place "own[digit] + before" "own[digit]")
pg_mutant(sort_ids forgets_where_sorted_rows_stood "rows_in == nullptr ?" "true ?")
pg_mutant(sort_ids leaves_out_high_digits "(pass * kDigitBits) > 0" "(pass * kDigitBits) > 5")
pg_mutant(sort_ids starts_an_id_behind_its_first_row "sorted[middle] < v" "sorted[middle] <= v")
# ---- embedding.cu, row_tiles.h -------------------------------------------------------------------
pg_mutant_family(embedding EmbeddingFamily
  "embed<float>" "embed<bf16>" "embed_backward<float, float>" "embed_backward<float, bf16>" "embed_backward<bf16, bf16>"
  SOURCES kernels/row_tiles.h)
pg_mutant(embedding forgets_the_columns_of_other_blocks "(columns_before + beside) * kPack" "beside * kPack")
pg_mutant(embedding puts_all_pieces_into_one_kind_of_slot "+ (piece > 0 ? 1 : 0)" "")
pg_mutant(embedding reads_a_piece_past_its_id "begin + kPieceRows < end ? begin + kPieceRows : end" "begin + kPieceRows")
pg_mutant(embedding takes_a_whole_piece_for_two "  if (end - start <= kPieceRows) {\n    add" "  if (end - start < kPieceRows) {\n    add")
pg_mutant(embedding leaves_ids_without_rows "start == end && dtable.accumulate" "start == end")
# ---- bigram_hash.cu ------------------------------------------------------------------------------
pg_mutant_family(bigram_hash BigramHashFamily bigram_hash)
pg_mutant(bigram_hash counts_rows_from_its_own_first "(first + row) % tokens" "row % tokens")
pg_mutant(bigram_hash leaves_negative_remainders "remainder < 0 ? remainder + modulus : remainder" "remainder")
pg_mutant(bigram_hash looks_two_back_for_the_second "27191u * static_cast<uint32_t>(ids[row - 1])" "27191u * static_cast<uint32_t>(ids[row - ids_before])")
# ---- bags.cu -------------------------------------------------------------------------------------
pg_mutant_family(bags BagsFamily
  "mean_bags<float>" "mean_bags<bf16>" "mean_bags_backward<float>" "mean_bags_backward<bf16>" SOURCES kernels/row_tiles.h)
pg_mutant(bags stops_at_pairs_of_rows "if constexpr (kRows > 1)" "if constexpr (kRows > 2)")
pg_mutant(bags adds_a_row_twice "row_at(first + i), column" "row_at(first + i / 2), column")
pg_mutant(bags gives_the_last_row_of_a_bag_nothing "row < (place.run + 1) * bag" "row + 1 < (place.run + 1) * bag")
pg_mutant(bags forgets_the_share_of_a_row "  for (int i = 0; i < kPack; ++i) share[i] /=" "  for (int i = 1; i < kPack; ++i) share[i] /=")
# ---- prepend_rows.cu -----------------------------------------------------------------------------
pg_mutant_family(prepend_rows PrependRowsFamily
  "prepend_rows<float>" "prepend_rows<bf16>" "prepend_rows_backward<float>" "prepend_rows_backward<bf16>"
  SOURCES kernels/row_tiles.h)
pg_mutant(prepend_rows writes_a_row_past_the_last "    if (first + i >= rows) break;\n" "    if (first + i > rows) break;\n")
pg_mutant(prepend_rows takes_the_first_token_for_memory "if (at >= shape.memory)" "if (at > shape.memory)")
pg_mutant(prepend_rows begins_at_the_first_row "at = (first + row) % length" "at = row % length")
pg_mutant(prepend_rows forgets_a_sequences_own_memory "(row / shape.tokens + 1)" "(row / shape.tokens)")
pg_mutant(prepend_rows sums_tokens_as_memory "(sequence * length + place.run)" "(sequence * shape.tokens + place.run)")
# ---- smear.cu ------------------------------------------------------------------------------------
pg_mutant_family(smear SmearFamily
  "smear<float>" "smear<bf16>" "smear_backward<float>" "smear_backward<bf16>"
  SOURCES kernels/row_tiles.h)
pg_mutant(smear reads_across_the_start_of_a_sequence "before = t > 0 ? values[i] : Values{}" "before = values[i]")
pg_mutant(smear counts_tokens_from_its_own_first "(first + begin) % tokens" "begin % tokens")
pg_mutant(smear gives_gradient_across_the_end_of_a_sequence "t + 1 < tokens ? next_dy[i] : Values{}" "next_dy[i]")
pg_mutant(smear keeps_x_across_the_start_of_a_sequence "      if (t == 0) before = Values{};\n" "")
pg_mutant(smear forgets_the_row_before_a_chunk "sums_gate && t > 0 ? load(x, begin - 1) : Values{}" "Values{}")
pg_mutant(smear keeps_the_gradient_of_the_first_row "      own_dy = next_dy[i];\n" "")
pg_mutant(smear forgets_the_slope_of_the_gate "sum[j] *= g[j] * (1.0f - g[j])" "sum[j] *= g[j]")
# ---- token_smear.cu ------------------------------------------------------------------------------
pg_mutant_family(token_smear TokenSmearFamily
  "token_smear<float>" "token_smear<bf16>" "token_smear_backward<float>" "token_smear_backward<bf16>"
  SOURCES kernels/row_tiles.h)
pg_mutant(token_smear uses_factors_before_they_are_there "  __syncthreads();\n  if (place.column >= dim) return;" "  if (place.column >= dim) return;")
pg_mutant(token_smear reads_a_row_before_the_beginning_of_text " && int64_t{ids[row]} != shape.bos" "")
pg_mutant(token_smear gates_by_the_first_channels_alone "column = lane + kWarpThreads; column < width" "column = width; column < width")
pg_mutant(token_smear keeps_the_gate_of_the_first_row "    gate = next_gate;\n" "")
pg_mutant(token_smear forgets_that_the_next_row_starts_a_sequence "row + 1 < rows && t != 0 &&" "row + 1 < rows &&")
pg_mutant(token_smear skips_what_registers_do_not_hold "first + kKept; column < dim; column += kStep) {\n      product" "dim; column < dim; column += kStep) {\n      product")
pg_mutant(token_smear sums_warps_before_they_are_done "  __syncthreads();\n  for (int i = static_cast" "  for (int i = static_cast")
pg_mutant(token_smear counts_only_the_first_chunks "chunk < chunks; chunk += kWarpThreads" "chunk < 1; chunk += kWarpThreads")
# ---- column_sums.cu ------------------------------------------------------------------------------
pg_mutant_family(column_sums ColumnSumsFamily "sum_chunks<float>" "sum_chunks<bf16>")
pg_mutant(column_sums adds_warps_before_they_are_done "  __syncthreads();\n" "")
pg_mutant(column_sums forgets_the_last_warp_of_chunks "i < kBlockWarps; ++i) sum += of_warps" "i + 1 < kBlockWarps; ++i) sum += of_warps")
pg_mutant(column_sums reads_a_chunk_past_the_last "first + i < chunks && column" "first + i <= chunks && column")
pg_mutant(column_sums scales_what_was_there "if (scale != nullptr) sum *= *scale;\n" "if (scale != nullptr) sum = (sum + static_cast<float>(out.data[column])) * *scale;\n")
# ---- dense_rows.cu -------------------------------------------------------------------------------
pg_mutant_family(dense_rows DenseRowsFamily "copy_to_dense<bf16>")
pg_mutant(dense_rows copies_what_lies_between_rows "data[i / cols * stride + i % cols]" "data[i]")
pg_mutant(dense_rows leaves_out_the_last_element "if (i < count)" "if (i + 1 < count)")
pg_mutant(dense_rows copies_the_first_block_alone "int64_t{blockIdx.x} * kBlockThreads + static_cast" "static_cast")
# ---- product_rows.cu -----------------------------------------------------------------------------
pg_mutant_family(product_rows ProductRowsFamily "add_product<float>" "add_product<bf16>")
pg_mutant(product_rows takes_addends_for_dense "addend.data + row * addend.stride" "addend.data + row * cols")
pg_mutant(product_rows writes_rows_as_if_dense "y.data + row * y.stride" "y.data + row * cols")
pg_mutant(product_rows overwrites_what_it_should_add_to "first, cols, y.accumulate" "first, cols, false")
pg_mutant(product_rows takes_every_addend_for_aligned "has_vector_rows<kPack>(addend.data, cols) && addend" "addend")
pg_mutant(product_rows runs_past_the_last_row_of_a_product "  if (row >= rows) return;\n" "")
