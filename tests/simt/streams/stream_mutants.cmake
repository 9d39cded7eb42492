# Seeded bugs in streams, events, downloads, graphs and the exchange of ranks: the text of what stands between the program and
# the CUDA runtime with a piece replaced, in a namespace of its own. streams/stream_mutants_test.cpp demands that each is caught.
set(pg_stream_sources src/device/comm/nccl/comm_nccl.h src/device/comm/nccl/comm_nccl.cpp src/device/cuda/gpu_device.h
  src/device/cuda/gpu_device.cpp src/device/cuda/gpu/cuda_runtime.cpp)
set(pg_stream_mutant_files "")
set(pg_stream_mutant_names "")

# pg_stream_mutant(name find replace)
function(pg_stream_mutant name find replace)
  pg_mutate(mutated ${name} "${find}" "${replace}" ${pg_stream_sources})
  foreach(header src/device/comm/nccl/comm_nccl.h src/device/cuda/gpu_device.h)
    string(REPLACE "#include \"${header}\"\n" "" mutated "${mutated}")
  endforeach()
  string(REPLACE "#pragma once\n" "" mutated "${mutated}")
  string(REPLACE "pg::GpuDevice" "pg::${name}::GpuDevice" mutated "${mutated}")
  string(REPLACE "pg::CudaRuntime" "pg::${name}::CudaRuntime" mutated "${mutated}")
  string(REPLACE "pg::attention_by" "pg::${name}::attention_by" mutated "${mutated}")
  string(REPLACE "namespace pg {" "namespace pg::${name} {" mutated "${mutated}")
  string(REPLACE "extern \"C\" __attribute__((visibility(\"default\"))) pg::Device* pg_make_cuda_device("
    "pg::Device* make_${name}(const char*, bool, int, const char**);\npg::Device* make_${name}(" mutated "${mutated}")
  # One program has one of it.
  string(REGEX REPLACE "// GPUs that there are.*" "" mutated "${mutated}")
  set(file ${CMAKE_BINARY_DIR}/simt/stream_mutant_${name}.cpp)
  file(CONFIGURE OUTPUT ${file} CONTENT "${mutated}" @ONLY)
  list(APPEND pg_stream_mutant_files ${file})
  list(APPEND pg_stream_mutant_names ${name})
  set(pg_stream_mutant_files "${pg_stream_mutant_files}" PARENT_SCOPE)
  set(pg_stream_mutant_names "${pg_stream_mutant_names}" PARENT_SCOPE)
endfunction()

# ---- ranks: comm_nccl.cpp -------------------------------------------------------------------------
pg_stream_mutant(starts_before_the_gradient_is_there
  "    check_cuda(cudaStreamWaitEvent(stream_, ready_, 0), \"waiting for an event\");\n" "")
pg_stream_mutant(never_records_that_the_gradient_is_there
  "    check_cuda(cudaEventRecord(ready_, compute_), \"recording an event\");\n" "")
pg_stream_mutant(records_on_the_wrong_stream_that_it_is_there "cudaEventRecord(ready_, compute_)" "cudaEventRecord(ready_, stream_)")
pg_stream_mutant(does_not_wait_for_ranks
  "    check_cuda(cudaStreamWaitEvent(compute_, done_[ticket.id % kRing], 0), \"waiting for ranks\");\n"
  "    static_cast<void>(ticket);\n")
pg_stream_mutant(waits_for_the_operation_before "compute_, done_[ticket.id % kRing]" "compute_, done_[(ticket.id - 1) % kRing]")
pg_stream_mutant(records_the_end_before_the_work
  "    body(operation);\n    check_cuda(cudaEventRecord(done_[operation.id % kRing], stream_), \"recording an event\");\n"
  "    check_cuda(cudaEventRecord(done_[operation.id % kRing], stream_), \"recording an event\");\n    body(operation);\n")
pg_stream_mutant(records_the_end_on_the_wrong_stream "cudaEventRecord(done_[operation.id % kRing], stream_)"
  "cudaEventRecord(done_[operation.id % kRing], compute_)")
pg_stream_mutant(does_not_await_what_goes_on_in_the_background "      nccl.end_group();\n    });\n    group_->await(rank_);\n" "      nccl.end_group();\n    });\n")

# ---- events and downloads: cuda_runtime.cpp -------------------------------------------------------
pg_stream_mutant(reads_a_download_at_the_event_before "downloads_.push_back({last_event_ + 1," "downloads_.push_back({last_event_,")
pg_stream_mutant(gives_a_staging_buffer_twice "    downloads_.push_back({last_event_ + 1," "    free_pinned_.push_back(staging);\n    downloads_.push_back({last_event_ + 1,")
pg_stream_mutant(does_not_wait_for_an_event "    check(cudaEventSynchronize(found->second), \"work on the GPU\");\n" "")
pg_stream_mutant(takes_not_ready_for_done "      return false;\n    }\n    check(status, \"work on the GPU\");" "    }")
pg_stream_mutant(does_not_synchronize "    check(cudaStreamSynchronize(stream_), \"work on the GPU\");\n" "")
pg_stream_mutant(uploads_behind_the_hosts_back
  "    copy_bytes(device_to, host_from, bytes, cudaMemcpyHostToDevice);\n"
  "    if (side_ == nullptr) cudaStreamCreateWithFlags(&side_, cudaStreamNonBlocking);\n    check(cudaMemcpyAsync(device_to, host_from, bytes, cudaMemcpyHostToDevice, side_), \"copying\");\n  }\n  cudaStream_t side_ = nullptr;\n  void never_called() {\n")

# ---- graphs: gpu_device.cpp, cuda_runtime.cpp -----------------------------------------------------
pg_stream_mutant(keeps_a_graph_of_memory_that_has_moved "  if (work.growths != growths) work.graph.reset();\n" "")
pg_stream_mutant(records_and_does_not_do "      work.graph = std::move(graph);\n      work.graph->launch();\n" "      work.graph = std::move(graph);\n")
pg_stream_mutant(keeps_a_recording_that_failed
  "    if (!failed) {\n      work.graph = std::move(graph);\n      work.graph->launch();\n    }\n  }\n  work.growths = failed ? GpuWork::kNever : ops_.scratch_growths();\n"
  "    work.graph = std::move(graph);\n    if (!failed) work.graph->launch();\n  }\n  work.growths = ops_.scratch_growths();\n")
pg_stream_mutant(keeps_a_recording_with_a_hole "if (!is_recorded_ || cudaGraphInstantiate" "if (cudaGraphInstantiate")
pg_stream_mutant(launches_a_graph_on_a_stream_of_its_own
  "  void launch() override { check(cudaGraphLaunch(graph_, stream_), \"launching a graph\"); }"
  "  cudaStream_t own_ = [] { cudaStream_t made = nullptr; cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking); return made; }();\n  void launch() override { check(cudaGraphLaunch(graph_, own_), \"launching a graph\"); }")

set(declarations "")
set(rows "")
foreach(name ${pg_stream_mutant_names})
  string(APPEND declarations "pg::Device* make_${name}(const char*, bool, int, const char**);\n")
  string(APPEND rows "      {\"${name}\", &make_${name}},\n")
endforeach()
set(list_file ${CMAKE_BINARY_DIR}/simt/stream_mutants.cpp)
file(CONFIGURE OUTPUT ${list_file} CONTENT "#include \"tests/simt/streams/stream_mutants.h\"\n\n${declarations}
namespace pg {\nstd::vector<StreamMutant> stream_mutants() {\n  return {\n${rows}  };\n}\n}  // namespace pg\n" @ONLY)
list(APPEND pg_stream_mutant_files ${list_file})
