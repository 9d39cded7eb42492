#include "tests/simt/fake_cudnn/fake_cudnn_descriptors.h"

#include <initializer_list>

namespace pg::fake_cudnn {

const std::map<cudnnBackendDescriptorType_t, KnownAttributes>& known_attributes() {
  static const std::map<cudnnBackendDescriptorType_t, KnownAttributes> known = {
      {CUDNN_BACKEND_TENSOR_DESCRIPTOR,
       {{CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_ATTR_TENSOR_STRIDES,
         CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT},
        {CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_ATTR_TENSOR_IS_BY_VALUE}}},
      {CUDNN_BACKEND_MATMUL_DESCRIPTOR, {{CUDNN_ATTR_MATMUL_COMP_TYPE}, {}}},
      {CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR,
       {{CUDNN_ATTR_OPERATION_MATMUL_ADESC, CUDNN_ATTR_OPERATION_MATMUL_BDESC,
         CUDNN_ATTR_OPERATION_MATMUL_CDESC, CUDNN_ATTR_OPERATION_MATMUL_DESC},
        {}}},
      {CUDNN_BACKEND_POINTWISE_DESCRIPTOR,
       {{CUDNN_ATTR_POINTWISE_MODE, CUDNN_ATTR_POINTWISE_MATH_PREC}, {CUDNN_ATTR_POINTWISE_AXIS}}},
      {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR,
       {{CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
         CUDNN_ATTR_OPERATION_POINTWISE_YDESC},
        {CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_ATTR_OPERATION_POINTWISE_TDESC,
         CUDNN_ATTR_OPERATION_POINTWISE_ALPHA1, CUDNN_ATTR_OPERATION_POINTWISE_ALPHA2}}},
      {CUDNN_BACKEND_REDUCTION_DESCRIPTOR,
       {{CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_ATTR_REDUCTION_COMP_TYPE},
        {CUDNN_ATTR_REDUCTION_IS_DETERMINISTIC}}},
      {CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR,
       {{CUDNN_ATTR_OPERATION_REDUCTION_DESC, CUDNN_ATTR_OPERATION_REDUCTION_XDESC,
         CUDNN_ATTR_OPERATION_REDUCTION_YDESC},
        {}}},
      {CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR,
       {{CUDNN_ATTR_OPERATION_RESHAPE_XDESC, CUDNN_ATTR_OPERATION_RESHAPE_YDESC}, {}}},
      {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR,
       {{CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_ATTR_OPERATIONGRAPH_HANDLE}, {}}},
      {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR,
       {{CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_ATTR_ENGINEHEUR_MODE}, {}}},
      {CUDNN_BACKEND_ENGINE_DESCRIPTOR, {}},
      {CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, {}},
      {CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, {}},
      {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR,
       {{CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG}, {CUDNN_ATTR_EXECUTION_PLAN_HANDLE}}},
      {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR,
       {{CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS},
        {CUDNN_ATTR_VARIANT_PACK_WORKSPACE}}}};
  return known;
}

size_t bytes_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
      return 8;
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR:
      return 1;
    default:
      return 4;  // enums, floats, 32 bits
  }
}

namespace {

GraphTensor tensor_of(const Descriptor& d) {
  GraphTensor tensor;
  tensor.id = d.one<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID, 0);
  tensor.dims = d.all<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS);
  tensor.strides = d.all<int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
  tensor.type = d.one(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_DATA_FLOAT);
  tensor.is_virtual = d.one(CUDNN_ATTR_TENSOR_IS_VIRTUAL, false);
  tensor.is_by_value = d.one(CUDNN_ATTR_TENSOR_IS_BY_VALUE, false);
  return tensor;
}

GraphOperation operation_of(const Descriptor& d) {
  GraphOperation operation;
  const auto take = [&](std::initializer_list<cudnnBackendAttributeName_t> inputs,
                        cudnnBackendAttributeName_t output) {
    for (const cudnnBackendAttributeName_t input : inputs) {
      if (d.has(input)) operation.inputs.push_back(tensor_of(d.child(input)));
    }
    operation.output = tensor_of(d.child(output));
  };
  if (d.type == CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR) {
    operation.kind = GraphOperationKind::kMatmul;
    take({CUDNN_ATTR_OPERATION_MATMUL_ADESC, CUDNN_ATTR_OPERATION_MATMUL_BDESC},
         CUDNN_ATTR_OPERATION_MATMUL_CDESC);
  } else if (d.type == CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR) {
    operation.kind = GraphOperationKind::kReduction;
    operation.reduction = d.child(CUDNN_ATTR_OPERATION_REDUCTION_DESC)
                              .one(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_REDUCE_TENSOR_NORM2);
    take({CUDNN_ATTR_OPERATION_REDUCTION_XDESC}, CUDNN_ATTR_OPERATION_REDUCTION_YDESC);
  } else if (d.type == CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR) {
    operation.kind = GraphOperationKind::kReshape;
    take({CUDNN_ATTR_OPERATION_RESHAPE_XDESC}, CUDNN_ATTR_OPERATION_RESHAPE_YDESC);
  } else {
    operation.kind = GraphOperationKind::kPointwise;
    const Descriptor& pointwise = d.child(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
    operation.pointwise = pointwise.one(CUDNN_ATTR_POINTWISE_MODE, CUDNN_POINTWISE_TAN);
    operation.axis = pointwise.one<int64_t>(CUDNN_ATTR_POINTWISE_AXIS, -1);
    take({CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
          CUDNN_ATTR_OPERATION_POINTWISE_TDESC},
         CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
  }
  return operation;
}

}  // namespace

Graph graph_of(const Descriptor& d) {
  Graph graph;
  for (const auto& operation : d.attributes.at(CUDNN_ATTR_OPERATIONGRAPH_OPS).descriptors) {
    graph.push_back(operation_of(*operation));
  }
  return graph;
}

}  // namespace pg::fake_cudnn
