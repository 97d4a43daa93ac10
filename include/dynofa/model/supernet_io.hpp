#pragma once
#include "dynofa/model/batch_norm.hpp"
#include "dynofa/model/kernel_transform.hpp"
#include "dynofa/model/supernet.hpp"
#include "dynofa/model/supernet_part.hpp"
#include "dynofa/model/tensor.hpp"

#include <set>
#include <string>

// Between named tensors and a supernet. Keys are canonical (model/keys.hpp), their words the layout's.

namespace dynofa {

namespace detail {

/// Takes tensors out of a state dict by name and shape, and knows what nobody asked for.
class tensor_reader {
public:
  explicit tensor_reader(const state_dict& tensors)
      : tensors_{tensors} {}

  bool has(const std::string& key) const { return tensors_.contains(key); }

  std::vector<float> take(const std::string& key, const shape_type& shape) {
    const auto found = tensors_.find(key);
    if (found == tensors_.end())
      throw error(errc::missing_key, "checkpoint", text("tensor ", key, ' ', to_string(shape)), "no such key");
    if (found->second.shape != shape)
      throw error(errc::shape_mismatch, "checkpoint tensor " + key, to_string(shape), to_string(found->second.shape));
    asked_.insert(key);
    std::vector<float> values;
    try {
      values = found->second.to_floats();
    } catch (const error& e) {
      throw error(e.code(), "checkpoint tensor " + key, e.expected(), e.got());
    }
    expect_finite(key, values, shape);
    return values;
  }
  static void expect_finite(const std::string& key, const std::vector<float>& values, const shape_type& shape) {
    if (const auto bad = first_not_finite(values); bad < values.size())
      throw error(errc::bad_file, "checkpoint tensor " + key, "finite values",
                  text(shown(values[bad]), " at ", to_string(shape, bad)));
  }
  void ignore(const std::string& key) { asked_.insert(key); }

  norm_parameters take_norm(const std::string& key, int channels) {
    const shape_type shape{channels};
    norm_parameters n{take(key + ".weight", shape), take(key + ".bias", shape), take(key + ".running_mean", shape),
                      take(key + ".running_var", shape)};
    for (std::size_t c = 0; c < n.var.size(); ++c)
      if (n.var[c] < 0)
        throw error(errc::bad_file, "checkpoint tensor " + key + ".running_var", "values ≥ 0",
                    text(n.var[c], " at [", c, ']'));
    ignore(key + ".num_batches_tracked");
    return n;
  }

  /// Throws if the file has a tensor that nothing asked for: it belongs to another network.
  void expect_nothing_left() const {
    for (const auto& [key, tensor] : tensors_)
      if (!asked_.contains(key))
        throw error(errc::extra_key, "checkpoint", "only tensors of this search space",
                    text("also ", printable(key), ' ', to_string(tensor.shape)));
  }

private:
  const state_dict& tensors_;
  std::set<std::string, std::less<>> asked_;
};

/// The shape of what a block reads of an array.
inline shape_type shape_in(const weight_array& w, const block& b) {
  shape_type shape = w.shape;
  for (std::size_t i = 0; i < shape.size(); ++i)
    if (w.row->axes[i] != axis_of::taps) shape[i] = detail::extent(w.row->axes[i], b);
  return shape;
}

} // namespace detail

/// Builds a super-network from a checkpoint's tensors. Every tensor must have the shape the space says, every value
/// must be finite and no tensor may be left over; each fault is an `error` that names the key, and the shapes or the
/// index.
inline supernet make_supernet(const space_description& space, const state_dict& tensors) {
  detail::tensor_reader in(tensors);
  supernet net(space);
  const network_layout& layout = net.layout;
  // A network trained with the kernel transformation has a matrix in every block; one trained without has none and uses
  // the plain centre.
  // What published files of once-for-all's ResNet call plainly, its own loader wraps.
  const auto present = [&](const std::string& wrapped, const std::string& plain, const char* part) {
    return !in.has(wrapped + part) && in.has(plain + part) ? plain : wrapped;
  };
  const bool has_transforms = std::any_of(layout.weights.begin(), layout.weights.end(), [&](const weight_array& w) {
    return w.made_from >= 0 && in.has(layout.transform_key(w));
  });
  for (std::size_t i = 0; i < layout.weights.size(); ++i) {
    const weight_array& w = layout.weights[i];
    const int taps = w.kernel * w.kernel;
    if (w.made_from < 0)
      net.weights[i] = in.take(present(layout.key(w), layout.key(w, key_form::extracted, layout.number_of(w.unit)), ""),
                               network_layout::checkpoint_shape(w));
    else if (has_transforms)
      net.weights[i] = in.take(layout.transform_key(w), {taps, taps});
  }
  make_smaller_kernels(net);
  for (std::size_t i = 0; i < layout.weights.size(); ++i) // products may overflow
    if (const weight_array& w = layout.weights[i]; w.made_from >= 0)
      in.expect_finite(layout.transform_key(w) + " applied", net.weights[i], w.shape);
  for (std::size_t i = 0; i < layout.norms.size(); ++i) {
    const norm_array& n = layout.norms[i];
    const block& unit = layout.units[static_cast<std::size_t>(n.unit)];
    const auto plain = layout.norm_key(unit, n.index, key_form::extracted, layout.number_of(n.unit));
    net.norms[i] = in.take_norm(present(layout.key(n), plain, ".weight"), n.channels);
  }
  in.expect_nothing_left();
  return net;
}

/// The weights of one sub-network as a checkpoint of its own, with the names and compacted indices of once-for-all's
/// extracted networks: prefix slices and transformed kernels, in fp32.
inline state_dict extract(const supernet& net, const plan& p) {
  state_dict out;
  for (std::size_t i = 0; i < p.blocks.size(); ++i) {
    const block& b = p.blocks[i];
    const std::size_t number = net.layout.number_in(p.blocks, i);
    supernet_part::for_each_array(net.layout, b, [&](std::size_t index, const weight_extent& read) {
      const weight_array& w = net.layout.weights[index];
      out[net.layout.key(w, key_form::extracted, number)] = tensor::of_floats(
          detail::prefix_of(net.weights[index], read), network_layout::checkpoint_shape(w, detail::shape_in(w, b)));
    });
    for (int n = 0; n < b.norm_count(); ++n) {
      const norm_parameters& from = net.norm(b, n);
      const std::string key = net.layout.norm_key(b, n, key_form::extracted, number);
      const int channels = b.norm_channels(n);
      const auto put = [&](const char* part, const std::vector<float>& values) {
        out[key + part] = tensor::of_floats(std::span(values).first(static_cast<std::size_t>(channels)), {channels});
      };
      put(".weight", from.weight), put(".bias", from.bias);
      put(".running_mean", from.mean), put(".running_var", from.var);
      const std::int64_t zero = 0;
      out[key + ".num_batches_tracked"] = tensor::of(std::span(&zero, 1), {}, dtype::i64);
    }
  }
  return out;
}

/// Builds a super-network from the tensors of one extracted sub-network, `extract` the other way round: what the
/// architecture does not use is zero, so that a backend can pack the whole as it packs any other. `only` is set.
inline supernet make_extracted(const space_description& space, const arch& a, const state_dict& tensors) {
  const plan p = make_plan(space, a);
  detail::tensor_reader in(tensors);
  supernet net(space);
  net.only = p.arch;
  visit_weights(net, [](const std::string&, std::vector<float>& values, const shape_type& shape) {
    values.resize(static_cast<std::size_t>(value_count(shape)));
  });
  for (std::size_t i = 0; i < p.blocks.size(); ++i) {
    const block& b = p.blocks[i];
    const std::size_t number = net.layout.number_in(p.blocks, i);
    supernet_part::for_each_array(net.layout, b, [&](std::size_t index, const weight_extent& read) {
      const weight_array& w = net.layout.weights[index];
      const auto slice = in.take(net.layout.key(w, key_form::extracted, number),
                                 network_layout::checkpoint_shape(w, detail::shape_in(w, b)));
      for (std::ptrdiff_t r = 0; r < read.rows; ++r)
        std::copy_n(slice.begin() + r * read.columns, read.columns, net.weights[index].begin() + r * read.pitch);
    });
    for (int n = 0; n < b.norm_count(); ++n) {
      const norm_parameters from =
          in.take_norm(net.layout.norm_key(b, n, key_form::extracted, number), b.norm_channels(n));
      norm_parameters& to = net.norms[net.layout.norm_index(b, n)];
      for (auto part :
           {&norm_parameters::weight, &norm_parameters::bias, &norm_parameters::mean, &norm_parameters::var})
        std::copy((from.*part).begin(), (from.*part).end(), (to.*part).begin());
    }
  }
  in.expect_nothing_left();
  return net;
}

} // namespace dynofa
