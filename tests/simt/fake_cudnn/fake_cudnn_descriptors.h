// cuDNN's descriptors as their attributes, and the graph that those of operations describe.
#pragma once
#include <cudnn.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "tests/simt/fake_cudnn/fake_cudnn_graph.h"

namespace pg::fake_cudnn {

struct Descriptor;

struct Attribute {
  cudnnBackendAttributeType_t type = {};
  int64_t count = 0;
  std::vector<std::byte> bytes;
  std::vector<std::shared_ptr<const Descriptor>> descriptors;  // copies, of when it was set
};

struct Descriptor {
  cudnnBackendDescriptorType_t type = {};
  bool is_finalized = false;
  std::map<cudnnBackendAttributeName_t, Attribute> attributes;
  Graph graph;  // of an execution plan

  bool has(cudnnBackendAttributeName_t name) const { return attributes.contains(name); }
  template <class T>
  std::vector<T> all(cudnnBackendAttributeName_t name) const {
    const Attribute& attribute = attributes.at(name);
    std::vector<T> values(attribute.bytes.size() / sizeof(T));
    std::memcpy(values.data(), attribute.bytes.data(), attribute.bytes.size());
    return values;
  }
  template <class T>
  T one(cudnnBackendAttributeName_t name, T otherwise) const {
    if (has(name)) std::memcpy(&otherwise, attributes.at(name).bytes.data(), sizeof otherwise);
    return otherwise;
  }
  const Descriptor& child(cudnnBackendAttributeName_t name) const {
    return *attributes.at(name).descriptors.front();
  }
};

// What descriptors of a type take, those that they need first.
struct KnownAttributes {
  std::vector<cudnnBackendAttributeName_t> needed, others;
};
const std::map<cudnnBackendDescriptorType_t, KnownAttributes>& known_attributes();

size_t bytes_of(cudnnBackendAttributeType_t type);

// Of a graph's descriptor that has its operations.
Graph graph_of(const Descriptor& d);

}  // namespace pg::fake_cudnn
