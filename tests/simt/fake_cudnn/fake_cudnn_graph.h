// The operations of a cuDNN graph, and what they compute.
#pragma once
#include <cudnn.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace pg::fake_cudnn {

struct GraphTensor {
  int64_t id = 0;
  std::vector<int64_t> dims, strides;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  bool is_virtual = false;   // of this graph alone
  bool is_by_value = false;  // one element of the host's memory

  int64_t count() const;
  int64_t extent() const;  // elements from the first to the last
};

enum class GraphOperationKind { kMatmul, kPointwise, kReduction, kReshape };

struct GraphOperation {
  GraphOperationKind kind = {};
  cudnnPointwiseMode_t pointwise = {};
  cudnnReduceTensorOp_t reduction = {};
  int64_t axis = -1;                // of an index
  std::vector<GraphTensor> inputs;  // as the operation counts them
  GraphTensor output;
};

using Graph = std::vector<GraphOperation>;  // in any order

// What cannot be computed, in a word; empty where all can.
std::string find_unknown(const Graph& graph);

// memory: of each tensor that is not virtual, by its id.
void compute(const Graph& graph, const std::map<int64_t, void*>& memory, float factor);

}  // namespace pg::fake_cudnn
