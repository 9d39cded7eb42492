# The counted code (quant/artifact_sources.txt) as a zpaq bundle for each set of features inside pg_quant_method; rebuilt when
# a source changes that some bundle may hold.
find_package(Python3 REQUIRED COMPONENTS Interpreter)  # python3

set(PG_BUNDLE_LIST ${CMAKE_SOURCE_DIR}/quant/artifact_sources.txt)
set(PG_BUNDLE_SCRIPT ${CMAKE_SOURCE_DIR}/scripts/bundle_code.py)
set(PG_BUNDLE_CPP ${CMAKE_BINARY_DIR}/code_bundle.cpp)
set(PG_BUNDLE_FEATURES plain mixes learns parts learns_mixes learns_parts mixes_parts learns_mixes_parts)
set(PG_BUNDLE_SETS ${PG_BUNDLE_FEATURES})
foreach(coder zstd lzma)
  foreach(set ${PG_BUNDLE_FEATURES})
    list(APPEND PG_BUNDLE_SETS ${set}_${coder})
  endforeach()
endforeach()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PG_BUNDLE_LIST})

file(STRINGS ${PG_BUNDLE_LIST} PG_BUNDLE_LINES REGEX "^[^#[]")
foreach(line ${PG_BUNDLE_LINES})
  string(STRIP ${line} line)
  list(APPEND PG_BUNDLE_PATTERNS ${CMAKE_SOURCE_DIR}/${line} ${CMAKE_SOURCE_DIR}/${line}/*.h
    ${CMAKE_SOURCE_DIR}/${line}/*.inc ${CMAKE_SOURCE_DIR}/${line}/*.cpp)
endforeach()
file(GLOB PG_BUNDLE_SOURCES LIST_DIRECTORIES false CONFIGURE_DEPENDS ${PG_BUNDLE_PATTERNS})
list(TRANSFORM PG_BUNDLE_SETS PREPEND ${CMAKE_BINARY_DIR}/code_bundle_ OUTPUT_VARIABLE PG_BUNDLES)
list(TRANSFORM PG_BUNDLES APPEND .zpaq)

add_custom_command(
  OUTPUT ${PG_BUNDLES} ${PG_BUNDLE_CPP}
  COMMAND ${Python3_EXECUTABLE} ${PG_BUNDLE_SCRIPT} pack ${CMAKE_SOURCE_DIR} ${PG_BUNDLE_LIST}
          ${CMAKE_BINARY_DIR} ${PG_BUNDLE_CPP}
  DEPENDS ${PG_BUNDLE_SCRIPT} ${CMAKE_SOURCE_DIR}/scripts/counted_text.py ${PG_BUNDLE_LIST} ${PG_BUNDLE_SOURCES}
  COMMENT "Packing the counted sources"
  VERBATIM)
target_sources(pg_quant_method PRIVATE ${PG_BUNDLE_CPP})

# What a bundle holds must be a scorer: unpack it, compile it, run it.
# Without contraction, as CMakeLists.txt compiles them: whoever builds the scorer needs that flag for the same bits.
# Those of zstd and lzma differ from ours by the coder alone, which one set of each shows.
foreach(set plain mixes learns learns_mixes parts learns_mixes_parts plain_zstd plain_lzma)
  set(coder own)
  set(libraries -lfmt -lsentencepiece -lcrypto)
  if(set MATCHES "_(zstd|lzma)$")
    set(coder ${CMAKE_MATCH_1})
    list(APPEND libraries -l${coder})
  endif()
  set(scorer ${CMAKE_BINARY_DIR}/score_artifact_${set})
  set(keys)  # of a run that needs all of the set
  set(other_keys)  # of a second one, of kinds that exclude those
  if(set MATCHES "learns")
    list(APPEND keys ttt.kind=lora)
  endif()
  if(set MATCHES "mixes")
    list(APPEND keys mix.kind=logit)
  endif()
  if(set MATCHES "parts")
    list(APPEND keys model.q_gain=false model.block_scales=false model.qk_norm=false [[model.mlp="swiglu"]] model.norm_gains=true
         model.smear_gate=false model.token_smear=true model.skip_gates=true [[model.value_residual="mean"]]
         model.value_embed_dim=8 [[model.value_embed_at="0"]] [[model.softcap_form="asymmetric"]] model.loop_first=0
         model.loop_last=0 model.loop_passes=3 model.tied_head=false model.bigram_buckets=64 model.bigram_dim=8 model.trigram=true
         model.rope_ntk_length=0 model.yarn_factor=2.0 model.memory_tokens=4 [[model.attention_gate="gated"]]
         [[model.parallel_residual="lanes"]] model.parallel_from=1 eval.temperature=0.98 eval.case_ops=true)
  endif()
  if(set MATCHES "learns_mixes_parts")
    list(APPEND keys ttt.kind=sgd ttt.chunk_tokens=256 ttt.batch_tokens=128 ttt.optimizer=adamw ttt.polyak_decay=0.9
         ttt.byte_weighted=true ttt.adaptive_lr_max=3.0 ttt.frozen_blocks=1 ttt.frozen_scales=false ttt.scales_fraction=0.5
         mix.kind=cascade mix.cascade_buckets=4096)
    list(APPEND other_keys ttt.kind=phased_lora ttt.phases=2 ttt.chunk_tokens=256 ttt.batch_tokens=128 ttt.lora_epochs=2
         eval.windows=document ttt.by_document=true ttt.phase_documents=3 ttt.lora_clipped=false [[ttt.lora_targets="q,attn,mlp,head"]]
         model.loop_first=0 model.loop_last=0 model.loop_passes=2 ttt.lora_per_run=true mix.kind=ppm
         model.heads=2 model.kv_heads=2 [[model.paired_heads_at="1"]] [[model.mudd_at="0,1"]] [[model.mudd_value_at="0"]])
  endif()
  add_test(NAME CodeBundle_LinksIntoAScorer.${set}
    COMMAND ${Python3_EXECUTABLE} ${PG_BUNDLE_SCRIPT} verify ${CMAKE_BINARY_DIR}/code_bundle_${set}.zpaq ${scorer}
            ${CMAKE_CXX_COMPILER} -std=c++20 -w -ffp-contract=off -fopenmp-simd -- ${libraries})
  set_tests_properties(CodeBundle_LinksIntoAScorer.${set} PROPERTIES LABELS slow TIMEOUT 600
    FIXTURES_SETUP counted_scorer_${set})
  add_test(NAME CodeBundle_ScoresAsTheProgramDoes.${set}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/cli/counted_scorer_test.py $<TARGET_FILE:train_gpt>
            ${CMAKE_SOURCE_DIR} ${scorer} ${coder} ${keys})
  set_tests_properties(CodeBundle_ScoresAsTheProgramDoes.${set} PROPERTIES LABELS slow TIMEOUT 300
    FIXTURES_REQUIRED counted_scorer_${set})
  if(other_keys)
    add_test(NAME CodeBundle_ScoresOtherKindsAsTheProgramDoes.${set}
      COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/cli/counted_scorer_test.py $<TARGET_FILE:train_gpt>
              ${CMAKE_SOURCE_DIR} ${scorer} ${coder} ${other_keys})
    set_tests_properties(CodeBundle_ScoresOtherKindsAsTheProgramDoes.${set} PROPERTIES LABELS slow TIMEOUT 300
      FIXTURES_REQUIRED counted_scorer_${set})
  endif()
endforeach()
