#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/number.hpp"
#include "dynofa/model/plan.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace dynofa {

/// One timed operation as the latency tables of once-for-all and ProxylessNAS name it. A network with squeeze-excite or
/// h-swish in its blocks has full keys, any other plain ones:
///
///     Conv-input:160x160x3-output:80x80x24
///     expanded_conv-input:80x80x24-output:40x40x32-expand:72-kernel:3-stride:2-idskip:0-se:0-hs:0
///     expanded_conv-input:112x112x16-output:56x56x24-expand:6-kernel:3-stride:2-idskip:0
///     Conv_1-input:5x5x192-output:5x5x1152   AvgPool2D-…   Conv_2-…   Logits-input:1x1x1536-output:1000
///
/// What ResNet has besides is named alike; once-for-all has no tables of it:
///
///     dense_conv-input:80x80x32-output:80x80x64-expand:0-kernel:3-stride:1-idskip:0   MaxPool-…
///     bottleneck-input:40x40x64-output:40x40x256-expand:88-kernel:3-stride:1-idskip:0
///
/// `expand` is the number of mid channels, in a plain key the ratio. A key holds everything that the time depends on:
/// what no published table has is added at its end, `-act:relu` for an activation that the form does not imply and
/// `-expansion:1` for a ratio of one that is computed all the same.
struct operation_key {
  /// The word that a key begins with.
  enum class kind : std::uint8_t {
    conv,          ///< the stem
    expanded_conv, ///< an inverted residual or a separable block
    conv_1,        ///< the 1×1 convolution before pooling
    avg_pool,      ///< the mean over the image
    conv_2,        ///< the 1×1 convolution before the classifier
    logits,        ///< the classifier
    dense_conv,    ///< a convolution of a deep stem
    bottleneck,    ///< of ResNet, shortcut included
    max_pool,      ///< of a deep stem
  };
  kind type = kind::conv;                                           ///< which word
  int in_size = 1, in_channels = 1, out_size = 1, out_channels = 1; ///< sides in pixels, and channels
  bool plain = false;                                               ///< of an expanded_conv only, as all below
  decimal expand = {};                         ///< the ratio of a plain key, in others mid channels
  int kernel = 0, stride = 0;                  ///< side of the convolution; 1 or 2
  bool idskip = false, squeeze_excite = false; ///< whether the input is added; whether there is a squeeze-excite
  activation act = activation::relu;           ///< after each convolution but the last
  bool expansion = false; ///< has an expansion convolution although mid channels are as many as input channels

  friend constexpr bool operator==(const operation_key&, const operation_key&) = default;
};

namespace detail {
inline constexpr std::string_view operation_words[] = {"Conv",   "expanded_conv", "Conv_1",     "AvgPool2D", "Conv_2",
                                                       "Logits", "dense_conv",    "bottleneck", "MaxPool"};
inline constexpr std::pair<activation, std::string_view> key_activations[] = {{activation::relu, "relu"},
                                                                              {activation::relu6, "relu6"},
                                                                              {activation::h_swish, "h_swish"},
                                                                              {activation::identity, "identity"}};

/// What follows a key's first word, for its writer and its reader: `part(word, value)` in order until one says false.
/// `part.has(word, wanted)` says whether an optional part is there: the writer as it is told, the reader by looking.
template <class Part>
bool visit_parts(operation_key& k, Part& part) {
  const auto image = [&](const char* word, auto& size, auto& channels) {
    if (!part(word, size)) return false;
    int width = size;
    return part("x", width) && width == size && part("x", channels);
  };
  if (!image("-input:", k.in_size, k.in_channels)) return false;
  if (k.type == operation_key::kind::logits) return part("-output:", k.out_channels);
  if (!image("-output:", k.out_size, k.out_channels)) return false;
  using enum operation_key::kind;
  if (k.type != expanded_conv && k.type != dense_conv && k.type != bottleneck) return true;
  if (!part("-expand:", k.expand) || !part("-kernel:", k.kernel) || !part("-stride:", k.stride) ||
      !part("-idskip:", k.idskip))
    return false;
  const activation given = k.act;
  const bool is_full = k.type == expanded_conv && part.has("-se:", !k.plain);
  k.plain = k.type == expanded_conv && !is_full;
  k.act = k.plain ? activation::relu6 : activation::relu;
  if (is_full) {
    bool h_swish = given == activation::h_swish;
    if (!part("-se:", k.squeeze_excite) || !part("-hs:", h_swish)) return false;
    k.act = h_swish ? activation::h_swish : activation::relu;
  }
  if (part.has("-act:", given != k.act)) {
    k.act = given;
    if (!part("-act:", k.act)) return false;
  }
  return !part.has("-expansion:", k.expansion) || part("-expansion:", k.expansion);
}

struct key_writer {
  std::string s;
  template <class Value>
  bool operator()(const char* word, const Value& value) {
    s.append(word);
    if constexpr (std::is_same_v<Value, activation>) {
      for (const auto& [act, name] : key_activations)
        if (act == value) s.append(name);
    } else {
      const decimal number(value);
      s.append(number.is_whole() ? std::to_string(int(number)) : text(number));
    }
    return true;
  }
  bool has(const char*, bool wanted) const { return wanted; }
};

struct key_reader {
  std::string_view s;
  template <class Value>
  bool operator()(const char* word, Value& into) {
    if (!has(word, true)) return false;
    s.remove_prefix(std::string_view(word).size());
    if constexpr (std::is_same_v<Value, activation>) {
      const std::string_view name = s.substr(0, s.find('-'));
      s.remove_prefix(name.size());
      for (const auto& [act, known] : key_activations)
        if (known == name) return into = act, true;
      return false;
    } else {
      constexpr int most = std::is_same_v<Value, bool> ? 1 : 1 << 20;
      const std::string_view digits = s.substr(0, s.find_first_not_of("0123456789."));
      const auto number = parse_number<double>(digits);
      const auto exact = number ? decimal::exactly(*number) : std::nullopt;
      if (!exact || *exact > decimal(most)) return false;
      if constexpr (std::is_same_v<Value, decimal>)
        into = *exact;
      else if (exact->is_whole())
        into = static_cast<Value>(int(*exact));
      else
        return false;
      s.remove_prefix(digits.size());
      return true;
    }
  }
  bool has(std::string_view word, bool) const { return s.starts_with(word); }
};
} // namespace detail

/// The words of a key, as tables write them.
inline std::string to_string(operation_key k) {
  detail::key_writer writer{std::string(detail::operation_words[static_cast<int>(k.type)])};
  detail::visit_parts(k, writer);
  return std::move(writer.s);
}

/// The key that `s` writes; nothing if it is not of the grammar, not square, or has numbers above 2^20.
inline std::optional<operation_key> find_operation_key(std::string_view s) {
  const auto& words = detail::operation_words;
  const auto word = std::find(std::begin(words), std::end(words), s.substr(0, s.find('-')));
  if (word == std::end(words)) return std::nullopt;
  operation_key k{.type = static_cast<operation_key::kind>(word - words)};
  detail::key_reader reader{s.substr(word->size())};
  // One key has one name: no zeros in front, nothing said that goes without saying.
  if (!detail::visit_parts(k, reader) || !reader.s.empty() || to_string(k) != s) return std::nullopt;
  return k;
}
/// As above; throws errc::bad_file.
inline operation_key parse_operation_key(std::string_view s, std::string_view where = "latency table") {
  if (auto k = find_operation_key(s)) return *k;
  throw error(errc::bad_file, where, "a key of once-for-all's or ProxylessNAS' latency tables", printable(s));
}

/// Whether keys of a network are plain: no block has squeeze-excite or h-swish.
constexpr bool has_plain_keys(const space_description& space) {
  return space.first_act != activation::h_swish &&
         std::none_of(space.stages.begin(), space.stages.end(),
                      [](const stage_description& s) { return s.squeeze_excite || s.act == activation::h_swish; });
}

/// Calls `visit(key)` for the operations of block n of a plan in their order: one, or for final_expand two (Conv_1 and
/// the pooling), unless the classifier follows it: then Logits names pooling and classifier as one, as in ProxylessNAS.
///
/// once-for-all writes mid channels as round(c_in · e) without make_divisible. Widths are multiples of 8 and ratios
/// whole numbers, so a plan's mid channels are the same number. The second and later blocks of a stage share keys,
/// since they are the same work.
template <class Visit>
void for_each_operation(const plan& p, std::size_t n, Visit visit) {
  const block& b = p.blocks[n];
  const auto kind_of = [&](std::size_t i) { return i < p.blocks.size() ? p.blocks[i].kind : block_kind::stem; };
  operation_key k{
      .in_size = b.in_size, .in_channels = b.in_channels, .out_size = b.out_size, .out_channels = b.out_channels};
  switch (b.kind) {
  case block_kind::stem: k.type = operation_key::kind::conv; break;
  case block_kind::max_pool: k.type = operation_key::kind::max_pool; break;
  case block_kind::average_pool: k.type = operation_key::kind::avg_pool; break;
  case block_kind::convolution:
  case block_kind::bottleneck:
  case block_kind::separable:
  case block_kind::inverted_residual:
    k.type = b.kind == block_kind::convolution  ? operation_key::kind::dense_conv
             : b.kind == block_kind::bottleneck ? operation_key::kind::bottleneck
                                                : operation_key::kind::expanded_conv;
    k.plain = k.type == operation_key::kind::expanded_conv && has_plain_keys(p.space);
    k.expand = !k.plain     ? decimal(b.mid_channels)
               : b.gene < 0 ? decimal(1)
                            : p.arch.e[static_cast<std::size_t>(b.gene)];
    k.kernel = b.kernel;
    k.stride = b.stride;
    k.idskip = b.residual;
    k.squeeze_excite = b.se_channels > 0;
    k.act = b.act;
    k.expansion = b.kind == block_kind::inverted_residual && b.mid_channels == b.in_channels;
    break;
  case block_kind::final_expand:
    k.type = operation_key::kind::conv_1;
    k.out_size = b.in_size;
    if (kind_of(n + 1) == block_kind::classifier) break;
    visit(k);
    k = {.type = operation_key::kind::avg_pool,
         .in_size = b.in_size,
         .in_channels = b.out_channels,
         .out_size = 1,
         .out_channels = b.out_channels};
    break;
  case block_kind::feature_mix: k.type = operation_key::kind::conv_2; break;
  case block_kind::classifier:
    k.type = operation_key::kind::logits;
    if (kind_of(n - 1) == block_kind::final_expand) k.in_size = p.blocks[n - 1].in_size;
    break;
  }
  visit(k);
}

/// The key that a block's time goes to: its first operation's. Whatever else the block has runs inside that.
inline std::string timed_key(const plan& p, std::size_t n) {
  std::string key;
  for_each_operation(p, n, [&](const operation_key& k) {
    if (key.empty()) key = to_string(k);
  });
  return key;
}

} // namespace dynofa
