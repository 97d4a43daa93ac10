#pragma once
#include <dynofa/backend/concept.hpp> // with what its interface is made of: <memory>, <span>, <string>, <vector>
#include <dynofa/backend/host_clock.hpp>

#include <algorithm>
#include <array>
#include <dnnl.hpp>
#include <numeric>
#include <unordered_map>
#include <utility>

// A backend outside the library: sub-networks on oneDNN 2.6. It satisfies `dynofa::inference_backend` and nothing else,
// and all that is written over a backend (sessions, profiles, searches, managers) takes it as it is.

namespace lesson {

using namespace dynofa;
using dnnl::algorithm, dnnl::memory;
using tag = memory::format_tag;

/// Where activations lie. A block reads `in` and writes `out`; the next five are its own.
enum place { in, out, expanded, filtered, pooled, hidden, gate, scratch, places };

/// A primitive with what it reads and writes; `moving` are the arguments that lie in a workspace.
struct step {
  dnnl::primitive primitive;
  dnnl::post_ops after; ///< what follows inside the primitive, by which it is made
  std::unordered_map<int, memory> arguments;
  std::vector<std::pair<int, place>> moving;
  int next() const { return DNNL_ARG_ATTR_MULTIPLE_POST_OP(after.len()) | DNNL_ARG_SRC_1; }
};

struct onednn : backend::timed_by_host<onednn> {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0}; ///< a handle: copies share it. Threads: OMP_NUM_THREADS

  struct packed {
    supernet_ptr net;            ///< 1×1 convolutions and products read their matrices here, where they are
    std::vector<memory> kernels; ///< as net->weights: k×k convolutions, in oneDNN's own layout; else empty
    std::size_t size = 0;
    std::uint64_t source() const { return net->fingerprint(); }
    std::size_t bytes() const { return size; }
  };
  struct bound {
    dynofa::plan plan;
    std::shared_ptr<const packed> weights;
    scale_shift norms;
    std::vector<std::vector<step>> blocks;
    std::size_t scratch_values = 0, steps = 0; ///< scratch memory: oneDNN says how much when primitives are made
    std::size_t bytes() const { return 4 * (norms.scale.size() + norms.shift.size()) + steps * sizeof(step); }
  };
  struct workspace {
    dnnl::stream stream;
    std::array<std::vector<float>, places> values;
    std::size_t bytes() const {
      return std::transform_reduce(values.begin(), values.end(), std::size_t{0}, std::plus{},
                                   [](const auto& v) { return 4 * v.size(); });
    }
  };
  std::string name() const { return text("onednn ", dnnl_version()->major, '.', dnnl_version()->minor); }

  /// Reorders the k×k kernels once. All other arrays stay where the super-network has them.
  std::shared_ptr<const packed> pack(const supernet_ptr& net) const {
    auto made = std::make_shared<packed>(packed{net, std::vector<memory>(net->weights.size())});
    dnnl::stream stream(engine);
    for (std::size_t i = 0; i < net->weights.size(); ++i) {
      const weight_array& w = net->layout.weights[i];
      if (w.shape.size() < 3) continue; // a matrix or a bias
      block b = net->layout.units[std::size_t(w.unit)];
      b.kernel = std::uint8_t(w.shape.back());
      memory plain(kernels(b, b.mid_channels > 0 ? tag::goihw : tag::oihw), engine, read(net->weights[i].data()));
      made->kernels[i] = memory(kernels(b, layout(b)), engine);
      dnnl::reorder(plain, made->kernels[i]).execute(stream, plain, made->kernels[i]);
      made->size += made->kernels[i].get_desc().get_size();
    }
    stream.wait();
    return made;
  }

  /// Makes the primitives of a level: some milliseconds, so that a run makes none.
  bound bind(const std::shared_ptr<const packed>& weights, const plan& p, const scale_shift& norms) const try {
    check_bind("onednn bind", weights->net->space, p, norms);
    bound made{p, weights, norms, {}};
    for (std::size_t b = 0; b < p.blocks.size(); ++b) made.blocks.emplace_back(), bind_block(made, b, p.blocks[b]);
    return made;
  } catch (const dnnl::error& e) {
    throw error(errc::unsupported, "onednn bind", "primitives for the plan", e.what());
  }

  workspace make_workspace(std::span<const plan> plans) const {
    std::int64_t wide = 0, narrow = 0; // values of an image, and of a vector
    for (const plan& p : plans)
      for (const block& b : p.blocks) {
        const std::int64_t inner = b.kind == block_kind::stem ? 0 : std::max(b.mid_channels, b.out_channels);
        wide = std::max(
            {wide, p.batch * std::max(b.in_values(), b.out_values()), p.batch * b.in_size * b.in_size * inner});
        narrow = std::max(narrow, p.batch * inner);
      }
    workspace made{dnnl::stream(engine), {}};
    for (const place p : {in, out, expanded, filtered}) made.values[p].resize(std::size_t(wide));
    for (const place p : {pooled, hidden, gate}) made.values[p].resize(std::size_t(narrow));
    return made;
  }
  void prepare(bound& level, workspace& space) const {
    if (space.values[scratch].size() < level.scratch_values) space.values[scratch].resize(level.scratch_values);
  }

  void run(bound& level, workspace& space, std::span<const float> images, std::span<float> logits) const {
    for (std::size_t b = 0; b < level.blocks.size(); ++b) {
      const std::span<float> to =
          b + 1 == level.blocks.size() ? logits : std::span(space.values[b % 2 == 0 ? out : in]);
      run_block(level, space, b, images, to);
      images = to;
    }
  }
  /// oneDNN itself allocates a table of arguments each time; nothing else does.
  void run_block(bound& level, workspace& space, std::size_t b, std::span<const float> x, std::span<float> y) const {
    prepare(level, space);
    for (step& s : level.blocks[b]) {
      for (const auto& [id, p] : s.moving)
        s.arguments[id].set_data_handle(p == in ? read(x.data()) : p == out ? y.data() : space.values[p].data());
      s.primitive.execute(space.stream, s.arguments);
    }
    space.stream.wait();
  }

private:
  static constexpr auto forward = dnnl::prop_kind::forward_inference;
  // Shapes. oneDNN says N, C, H, W whatever the order in memory; activations are NHWC, and as matrices [pixels][C].
  static memory::desc floats(const memory::dims& shape, tag t) { return {shape, memory::data_type::f32, t}; }
  static memory::desc image(int n, int size, int channels) { return floats({n, channels, size, size}, tag::nhwc); }
  static memory::desc matrix(int pixels, int channels) { return floats({pixels, channels}, tag::ab); }
  static memory::desc kernels(const block& b, tag t) {
    if (b.mid_channels > 0) return floats({b.mid_channels, 1, 1, b.kernel, b.kernel}, t); // depthwise: a group each
    return floats({b.out_channels, b.in_channels, b.kernel, b.kernel}, t);
  }
  /// The layouts that oneDNN has kernels for. Of depthwise ones that whose front is a sub-network's, [C/16][k][k][16]:
  /// left alone it would pick hwioG16g here, of which every sub-network needed a copy.
  static tag layout(const block& b) {
    const bool wide = int(dnnl::get_effective_cpu_isa()) & 0x20; // what avx512_core adds
    return b.mid_channels > 0 ? (wide ? tag::Goihw16g : tag::Goihw8g) : (wide ? tag::Ohwi16o : tag::Ohwi8o);
  }
  static void* read(const float* p) { return const_cast<float*>(p); } // oneDNN asks for void*

  /// What follows a convolution inside its primitive: values per channel, then the activation.
  step after(const memory::desc& shape, std::initializer_list<std::pair<algorithm, const float*>> channel_values,
             activation act) const {
    step s;
    for (const auto& [what, values] : channel_values) {
      s.arguments[s.next()] = memory(shape, engine, read(values));
      s.after.append_binary(what, shape);
    }
    if (act == activation::relu) s.after.append_eltwise(1, algorithm::eltwise_relu, 0, 0);
    if (act == activation::h_swish) s.after.append_eltwise(1, algorithm::eltwise_hardswish, 0, 0);
    if (act == activation::h_sigmoid) s.after.append_eltwise(1, algorithm::eltwise_linear, 1 / 6.f, 0.5f);
    if (act == activation::h_sigmoid) s.after.append_eltwise(1, algorithm::eltwise_clip, 0, 1);
    return s;
  }
  /// Batch norm i of block b, then its activation. Images have four axes, matrices two.
  step norm(const bound& level, std::size_t b, int i, bool of_image) const {
    const auto [at, channels] = level.plan.norms[std::size_t(level.plan.first_norm(b) + i)];
    const float *scale = level.norms.scale.data() + at, *shift = level.norms.shift.data() + at;
    return after(of_image ? image(1, 1, channels) : matrix(1, channels),
                 {{algorithm::binary_mul, scale}, {algorithm::binary_add, shift}}, level.plan.blocks[b].norm_act(i));
  }
  step bias(const bound& level, const block& b, weight_role role, int channels, activation act) const {
    const supernet& net = *level.weights->net;
    if (!net.layout.find(b, role)) return after({}, {}, act); // the feature mix has none
    return after(matrix(1, channels), {{algorithm::binary_add, net.array(b, role).data()}}, act);
  }

  template <class Primitive>
  void add(bound& level, const typename Primitive::desc& desc, step s,
           std::initializer_list<std::pair<int, place>> moving, const memory& weights = {}) const {
    dnnl::primitive_attr attributes;
    attributes.set_post_ops(s.after);
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user); // else only the thread that made it may run it
    const typename Primitive::primitive_desc chosen(desc, attributes, engine);
    ++level.steps;
    s.primitive = Primitive(chosen);
    s.moving.insert(s.moving.end(), moving);
    s.moving.emplace_back(DNNL_ARG_SCRATCHPAD, scratch);
    for (const auto& [id, p] : s.moving)
      s.arguments[id] = memory(chosen.query_md(dnnl::query::exec_arg_md, id), engine, nullptr);
    if (weights) s.arguments[DNNL_ARG_WEIGHTS] = weights;
    level.scratch_values = std::max(level.scratch_values, chosen.scratchpad_desc().get_size() / 4 + 1);
    level.blocks.back().push_back(std::move(s));
  }
  /// 1×1 convolution of `rows` pixels, or products with a vector per image. A sub-network's matrix is the top left of
  /// the super-network's: the same memory, its rows as far apart as they are there.
  void multiply(bound& level, const block& b, weight_role role, int rows, place from, place to, step s) const {
    const supernet& net = *level.weights->net;
    const std::size_t i = net.layout.find(b, role).value();
    const weight_extent part = net.layout.weights[i].extent_in(b);
    const memory::desc shape({part.columns, part.rows}, memory::data_type::f32, memory::dims{1, part.pitch});
    add<dnnl::matmul>(level, {matrix(rows, part.columns), shape, matrix(rows, part.rows)}, std::move(s),
                      {{DNNL_ARG_SRC, from}, {DNNL_ARG_DST, to}}, {shape, engine, read(net.weights[i].data())});
  }
  void convolve(bound& level, const block& b, weight_role role, place from, place to, step s) const {
    const memory& whole = level.weights->kernels[level.weights->net->layout.find(b, role).value()];
    const int n = level.plan.batch, channels = b.mid_channels > 0 ? b.mid_channels : b.out_channels;
    const int before = b.kernel / 2, behind = (b.out_size - 1) * b.stride + b.kernel - b.in_size - before;
    const memory::desc part = kernels(b, layout(b)), y = image(n, b.out_size, channels),
                       x = image(n, b.in_size, b.mid_channels > 0 ? channels : b.in_channels);
    const memory::dims strides{b.stride, b.stride}, above{before, before}, below{behind, behind};
    add<dnnl::convolution_forward>(level, {forward, algorithm::convolution_direct, x, part, y, strides, above, below},
                                   std::move(s), {{DNNL_ARG_SRC, from}, {DNNL_ARG_DST, to}},
                                   {part, engine, whole.get_data_handle()});
  }
  void mean(bound& level, int size, int channels, place from, place to) const {
    const memory::desc x = image(level.plan.batch, size, channels), y = image(level.plan.batch, 1, channels);
    const memory::dims all{size, size};
    add<dnnl::pooling_forward>(level, {forward, algorithm::pooling_avg, x, y, all, all, {0, 0}, {0, 0}}, {},
                               {{DNNL_ARG_SRC, from}, {DNNL_ARG_DST, to}});
  }

  void bind_block(bound& l, std::size_t index, const block& b) const {
    using role = weight_role;
    using kind = block_kind;
    const int n = l.plan.batch, before = n * b.in_size * b.in_size, behind = n * b.out_size * b.out_size;
    int i = 0;
    switch (b.kind) {
    case kind::stem: return convolve(l, b, role::output, in, out, norm(l, index, 0, true));
    case kind::inverted_residual:
      multiply(l, b, role::expand, before, in, expanded, norm(l, index, i++, false));
      [[fallthrough]];
    case kind::separable: {
      convolve(l, b, role::depthwise, i > 0 ? expanded : in, filtered, norm(l, index, i, true)), ++i;
      if (b.se_channels > 0) {
        const int mid = b.mid_channels;
        mean(l, b.out_size, mid, filtered, pooled);
        multiply(l, b, role::se_reduce, n, pooled, hidden, bias(l, b, role::se_reduce_bias, b.se_channels, b.se_act));
        multiply(l, b, role::se_expand, n, hidden, gate, bias(l, b, role::se_expand_bias, mid, b.se_gate));
        const memory::desc x = image(n, b.out_size, mid);
        add<dnnl::binary>(l, {algorithm::binary_mul, x, image(n, 1, mid), x}, {},
                          {{DNNL_ARG_SRC_0, filtered}, {DNNL_ARG_SRC_1, gate}, {DNNL_ARG_DST, filtered}});
      }
      step last = norm(l, index, i, false);
      if (b.residual) last.moving.emplace_back(last.next(), in);
      if (b.residual) last.after.append_binary(algorithm::binary_add, matrix(behind, b.out_channels));
      return multiply(l, b, role::output, behind, filtered, out, std::move(last));
    }
    case kind::final_expand:
      multiply(l, b, role::output, before, in, expanded, norm(l, index, 0, false));
      return mean(l, b.in_size, b.out_channels, expanded, out);
    default: return multiply(l, b, role::output, n, in, out, bias(l, b, role::output_bias, b.out_channels, b.act));
    }
  }
};

} // namespace lesson
