#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

// A reader of our own ONNX files, and the standard's word on what they compute: plain loops, one image.

namespace support {

struct protobuf_field {
  std::uint64_t number, wire, value;
  std::string_view bytes;
};
/// The fields of a message; fails the test for anything that is not one.
inline std::vector<protobuf_field> fields(std::string_view s) {
  const auto varint = [&] {
    std::uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
      REQUIRE_FALSE(s.empty());
      const auto byte = static_cast<unsigned char>(s[0]);
      s.remove_prefix(1);
      v |= std::uint64_t(byte & 0x7F) << shift;
      if (byte < 0x80) return v;
    }
  };
  std::vector<protobuf_field> out;
  while (!s.empty()) {
    const auto key = varint();
    protobuf_field f{key >> 3, key & 7, 0, {}};
    if (f.wire == 0) {
      f.value = varint();
    } else {
      const auto size = f.wire == 5 ? 4 : varint();
      REQUIRE((f.wire == 2 || f.wire == 5));
      REQUIRE(size <= s.size());
      f.bytes = s.substr(0, size);
      s.remove_prefix(size);
    }
    out.push_back(f);
  }
  return out;
}

enum class onnx_type { floats = 1, unsigned_bytes = 2, signed_bytes = 3 };

/// Values of any type, as floats.
struct onnx_tensor {
  onnx_type type = onnx_type::floats;
  std::vector<int> shape;
  std::vector<float> values;
};

struct onnx_node {
  std::string op, name;
  std::vector<std::string> inputs;
  std::map<std::string, std::vector<std::int64_t>> numbers;
  std::map<std::string, float> reals;
};

struct onnx_model {
  std::map<std::string, onnx_tensor> constants;
  std::vector<onnx_node> nodes;

  explicit onnx_model(std::string_view file) {
    for (const auto& f : fields(file))
      if (f.number == 7)
        for (const auto& g : fields(f.bytes)) {
          if (g.number == 1) nodes.push_back(node_of(g.bytes));
          if (g.number == 5) add_constant(g.bytes);
        }
  }

  /// image [3,r,r] → logits
  std::vector<float> run(const std::vector<float>& image, int r) const {
    std::map<std::string, onnx_tensor> values = constants;
    values["image"] = {onnx_type::floats, {1, 3, r, r}, image};
    for (const onnx_node& n : nodes) {
      std::vector<const onnx_tensor*> in;
      for (const auto& i : n.inputs) {
        REQUIRE(values.contains(i));
        in.push_back(&values.at(i));
      }
      onnx_tensor out = result_of(n, in);
      REQUIRE(values.emplace(n.name, std::move(out)).second);
    }
    return values.at("logits").values;
  }

private:
  static onnx_node node_of(std::string_view bytes) {
    onnx_node n;
    for (const auto& f : fields(bytes)) {
      if (f.number == 1) n.inputs.emplace_back(f.bytes);
      if (f.number == 2) n.name = f.bytes;
      if (f.number == 4) n.op = f.bytes;
      if (f.number != 5) continue;
      std::string name;
      for (const auto& a : fields(f.bytes)) {
        if (a.number == 1) name = a.bytes;
        if (a.number == 2) std::memcpy(&n.reals[name], a.bytes.data(), 4);
        if (a.number == 3 || a.number == 8) n.numbers[name].push_back(static_cast<std::int64_t>(a.value));
      }
    }
    return n;
  }
  void add_constant(std::string_view bytes) {
    onnx_tensor t;
    std::string name;
    std::string_view raw;
    std::size_t count = 1;
    for (const auto& f : fields(bytes)) {
      if (f.number == 1) t.shape.push_back(static_cast<int>(f.value)), count *= f.value;
      if (f.number == 2) t.type = static_cast<onnx_type>(f.value);
      if (f.number == 8) name = f.bytes;
      if (f.number == 9) raw = f.bytes;
    }
    REQUIRE(raw.size() == count * (t.type == onnx_type::floats ? 4 : 1));
    t.values.resize(count);
    if (t.type == onnx_type::floats) std::memcpy(t.values.data(), raw.data(), raw.size());
    for (std::size_t i = 0; t.type != onnx_type::floats && i < count; ++i)
      t.values[i] = t.type == onnx_type::signed_bytes ? static_cast<float>(static_cast<signed char>(raw[i]))
                                                      : static_cast<float>(static_cast<unsigned char>(raw[i]));
    REQUIRE(constants.emplace(name, std::move(t)).second);
  }

  static std::size_t area(const onnx_tensor& t) { // values of a channel
    return t.shape.size() < 4 ? 1 : static_cast<std::size_t>(t.shape[2]) * static_cast<std::size_t>(t.shape[3]);
  }

  static onnx_tensor result_of(const onnx_node& n, const std::vector<const onnx_tensor*>& in) {
    const onnx_tensor& x = *in[0];
    onnx_tensor y = x;
    const auto each = [&](auto f) {
      for (float& v : y.values) v = f(v);
    };
    /// The value of input `i` for value `at` of x: one for all, one along an axis, or one each.
    const auto beside = [&](std::size_t i, std::size_t at, std::size_t along) {
      const auto& v = in[i]->values;
      return v.size() == 1 ? v[0] : v.size() == x.values.size() ? v[at] : v[at / along % v.size()];
    };
    if (n.op == "Conv") return convolved(n, in);
    if (n.op == "QuantizeLinear" || n.op == "DequantizeLinear") {
      std::size_t along = 1;
      if (n.numbers.contains("axis"))
        for (auto i = static_cast<std::size_t>(n.numbers.at("axis")[0]) + 1; i < x.shape.size(); ++i)
          along *= static_cast<std::size_t>(x.shape[i]);
      else
        REQUIRE(in[1]->values.size() == 1);
      const bool makes = n.op == "QuantizeLinear";
      REQUIRE(std::ranges::all_of(in[1]->values, [](float step) { return step > 0; }));
      REQUIRE((makes ? x.type == onnx_type::floats : x.type == in[2]->type));
      y.type = makes ? in[2]->type : onnx_type::floats;
      for (std::size_t i = 0; i < y.values.size(); ++i) {
        const float step = beside(1, i, along), zero = beside(2, i, along);
        y.values[i] =
            makes ? std::clamp(std::nearbyint(x.values[i] / step) + zero, 0.f, 255.f) : (x.values[i] - zero) * step;
      }
    } else if (n.op == "Add" || n.op == "Mul") {
      for (std::size_t i = 0; i < y.values.size(); ++i)
        y.values[i] = n.op == "Add" ? x.values[i] + beside(1, i, area(x)) : x.values[i] * beside(1, i, area(x));
    } else if (n.op == "Relu") {
      each([](float v) { return std::max(v, 0.f); });
    } else if (n.op == "Clip") {
      each([&](float v) { return std::clamp(v, in[1]->values[0], in[2]->values[0]); });
    } else if (n.op == "HardSwish") {
      each([](float v) { return v * std::clamp(v / 6 + .5f, 0.f, 1.f); });
    } else if (n.op == "HardSigmoid") {
      each([&](float v) { return std::clamp(n.reals.at("alpha") * v + n.reals.at("beta"), 0.f, 1.f); });
    } else if (n.op == "GlobalAveragePool") {
      const std::size_t pixels = area(x);
      y.shape[2] = y.shape[3] = 1;
      y.values.assign(x.values.size() / pixels, 0);
      for (std::size_t i = 0; i < x.values.size(); ++i) y.values[i / pixels] += x.values[i] / float(pixels);
    } else if (n.op == "Flatten") {
      y.shape = {1, static_cast<int>(x.values.size())};
    } else {
      REQUIRE(n.op == "Gemm"); // the second factor transposed
      const onnx_tensor &w = *in[1], &bias = *in[2];
      y = {onnx_type::floats, {1, w.shape[0]}, bias.values};
      for (std::size_t i = 0; i < w.values.size(); ++i)
        y.values[i / x.values.size()] += w.values[i] * x.values[i % x.values.size()];
    }
    return y;
  }

  /// Sums in double precision.
  static onnx_tensor convolved(const onnx_node& n, const std::vector<const onnx_tensor*>& in) {
    const onnx_tensor &x = *in[0], &w = *in[1];
    REQUIRE((x.type == onnx_type::floats && w.type == onnx_type::floats));
    const auto number = [&](const char* name, int otherwise) {
      return n.numbers.contains(name) ? static_cast<int>(n.numbers.at(name)[0]) : otherwise;
    };
    const int k = w.shape[2], stride = number("strides", 1), pad = number("pads", 0), group = number("group", 1);
    const int size = x.shape[2], out_size = (size + 2 * pad - k) / stride + 1, outs = w.shape[0], ins = w.shape[1];
    REQUIRE(ins * group == x.shape[1]);
    onnx_tensor y{onnx_type::floats, {1, outs, out_size, out_size}, {}};
    for (int o = 0; o < outs; ++o)
      for (int oy = 0; oy < out_size; ++oy)
        for (int ox = 0; ox < out_size; ++ox) {
          double sum = in.size() > 2 ? double(in[2]->values[static_cast<std::size_t>(o)]) : 0;
          for (int i = 0; i < ins; ++i)
            for (int ky = 0; ky < k; ++ky)
              for (int kx = 0; kx < k; ++kx) {
                const int iy = oy * stride + ky - pad, ix = ox * stride + kx - pad;
                if (iy < 0 || iy >= size || ix < 0 || ix >= size) continue;
                const int channel = o / (outs / group) * ins + i;
                sum += double(x.values[static_cast<std::size_t>((channel * size + iy) * size + ix)]) *
                       double(w.values[static_cast<std::size_t>(((o * ins + i) * k + ky) * k + kx)]);
              }
          y.values.push_back(static_cast<float>(sum));
        }
    return y;
  }
};

} // namespace support
