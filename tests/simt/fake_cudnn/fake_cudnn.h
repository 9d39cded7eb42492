// A cuDNN on the host, for running src/device/cuda/cudnn/cudnn_attention.cpp and NVIDIA's front end as
// they are: descriptors that copy what they are given and refuse what they do not know, one engine for
// every graph, which computes it operation by operation as its descriptors say. Any call can be made
// to fail (fake_cuda.h counts them along with those of the CUDA runtime).
#pragma once
#include <cstddef>
#include <cstdint>

namespace pg::fake_cudnn {

void set_version(size_t version);   // 91900 at first, which is 9.19.0
void set_missing(bool is_missing);  // the library is not there

// What there is for a graph.
enum class Engines { kOrdered, kUnordered, kNone };
void set_engines(Engines engines);  // kOrdered at first

// The pass of that number from now on is refused, counted from 1 as they are given or recorded; 0: none.
void fail_pass(int64_t number);

// What a pass writes is multiplied by that: a library that computes something else.
void scale_results(float factor);  // 1 at first

int64_t count_plans();   // made so far, in this process
int64_t count_passes();  // run so far; a pass of a recorded graph counts each time

}  // namespace pg::fake_cudnn
