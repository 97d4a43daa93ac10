#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/version.hpp"
#include "dynofa/family/protobuf.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

// The parts that an ONNX graph is made of. Field numbers are those of onnx.proto3.

namespace dynofa::detail {

/// A model of one graph, opset 14, written node by node. Every node has one output, which bears its name.
class onnx_writer {
protected:
  static protobuf_writer attribute(const char* name, std::int64_t value) {
    protobuf_writer a;
    return a.string(1, name).integer(3, value).integer(20, 2);
  }
  static protobuf_writer attribute(const char* name, int value) { return attribute(name, std::int64_t(value)); }
  static protobuf_writer attribute(const char* name, float value) {
    protobuf_writer a;
    return a.string(1, name).real(2, value).integer(20, 1);
  }
  static protobuf_writer attribute(const char* name, std::initializer_list<std::int64_t> values) {
    protobuf_writer a;
    a.string(1, name);
    for (auto v : values) a.integer(8, v);
    return a.integer(20, 7);
  }

  std::string node(const char* op, const std::string& name, const std::vector<std::string>& inputs,
                   const std::vector<protobuf_writer>& attributes = {}) {
    protobuf_writer n;
    for (const auto& input : inputs) n.string(1, input);
    n.string(2, name).string(3, name).string(4, op);
    for (const auto& a : attributes) n.message(5, a);
    graph_.message(1, n);
    return name;
  }

  using extents = std::initializer_list<std::int64_t>;
  std::string constant(const std::string& name, std::span<const float> values, extents shape) {
    return tensor(name, 1, std::as_bytes(values), shape);
  }
  std::string constant(const std::string& name, std::span<const std::uint8_t> values, extents shape) {
    return tensor(name, 2, std::as_bytes(values), shape);
  }
  std::string constant(const std::string& name, std::span<const std::int8_t> values, extents shape) {
    return tensor(name, 3, std::as_bytes(values), shape);
  }

  /// The model; a tensor's first extent 0 stands for any batch, "N".
  std::string model(extents image, extents logits) {
    graph_.string(2, "dynofa level");
    graph_.message(11, value("image", image));
    graph_.message(12, value("logits", logits));
    protobuf_writer opset, model;
    opset.string(1, "").integer(2, 14);
    model.integer(1, 7).string(2, "dynofa").string(3, text(DYNOFA_VERSION_MAJOR, '.', DYNOFA_VERSION_MINOR));
    return model.message(7, graph_).message(8, opset).bytes();
  }

private:
  std::string tensor(const std::string& name, int type, std::span<const std::byte> values, extents shape) {
    protobuf_writer t;
    for (auto extent : shape) t.integer(1, extent);
    graph_.message(5, t.integer(2, type).string(8, name).raw(9, values));
    return name;
  }
  /// A named float tensor.
  static protobuf_writer value(const char* name, extents shape) {
    protobuf_writer dims, tensor, type, v;
    for (auto extent : shape) {
      protobuf_writer dim;
      extent ? dim.integer(1, extent) : dim.string(2, "N");
      dims.message(1, dim);
    }
    tensor.integer(1, 1).message(2, dims);
    return v.string(1, name).message(2, type.message(1, tensor));
  }

  protobuf_writer graph_;
};

} // namespace dynofa::detail
