#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/file.hpp"
#include "dynofa/model/plan.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace dynofa {

/// One timed operation as once-for-all's latency tables name it:
///
///     Conv-input:160x160x3-output:80x80x24
///     expanded_conv-input:80x80x24-output:40x40x32-expand:72-kernel:3-stride:2-idskip:0-se:0-hs:0
///     Conv_1-input:5x5x192-output:5x5x1152   AvgPool2D-…   Conv_2-…   Logits-input:1x1x1536-output:1000
///
/// What ResNet has besides is named alike; once-for-all has no tables of it:
///
///     dense_conv-input:80x80x32-output:80x80x64-expand:0-kernel:3-stride:1-idskip:0   MaxPool-…
///     bottleneck-input:40x40x64-output:40x40x256-expand:88-kernel:3-stride:1-idskip:0
///
/// `expand` is the number of mid channels, not the ratio. A key holds everything that the time depends on.
struct operation_key {
  enum class kind : std::uint8_t {
    conv,
    expanded_conv,
    conv_1,
    avg_pool,
    conv_2,
    logits,
    dense_conv,
    bottleneck,
    max_pool
  };
  kind type = kind::conv;
  int in_size = 1, in_channels = 1, out_size = 1, out_channels = 1;
  int expand = 0, kernel = 0, stride = 0; ///< of an expanded_conv only, as the three below
  bool idskip = false, squeeze_excite = false, h_swish = false;

  friend constexpr bool operator==(const operation_key&, const operation_key&) = default;
};

namespace detail {
inline constexpr std::string_view operation_words[] = {"Conv",   "expanded_conv", "Conv_1",     "AvgPool2D", "Conv_2",
                                                       "Logits", "dense_conv",    "bottleneck", "MaxPool"};

/// What follows a key's first word, for its writer and its reader: `part(word, number)` in order until one says false.
template <class Key, class Part>
bool visit_parts(Key& k, Part part) {
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
  return part("-expand:", k.expand) && part("-kernel:", k.kernel) && part("-stride:", k.stride) &&
         part("-idskip:", k.idskip) &&
         (k.type != expanded_conv || (part("-se:", k.squeeze_excite) && part("-hs:", k.h_swish)));
}
} // namespace detail

inline std::string to_string(const operation_key& k) {
  std::string s(detail::operation_words[static_cast<int>(k.type)]);
  detail::visit_parts(k, [&](const char* word, int number) {
    s.append(word).append(std::to_string(number));
    return true;
  });
  return s;
}

/// The key that `s` writes; nothing if it is not of the grammar, not square, or has numbers above 2^20.
inline std::optional<operation_key> find_operation_key(std::string_view s) {
  const auto& words = detail::operation_words;
  const auto word = std::find(std::begin(words), std::end(words), s.substr(0, s.find('-')));
  if (word == std::end(words)) return std::nullopt;
  operation_key k{.type = static_cast<operation_key::kind>(word - words)};
  s.remove_prefix(word->size());
  const auto read = [&](std::string_view before, auto& into) {
    if (!s.starts_with(before)) return false;
    s.remove_prefix(before.size());
    int n = 0;
    const auto [end, fault] = std::from_chars(s.data(), s.data() + s.size(), n);
    const int most = std::is_same_v<decltype(into), bool&> ? 1 : 1 << 20;
    if (fault != std::errc{} || n < 0 || n > most || (s[0] == '0' && end != s.data() + 1)) return false;
    into = static_cast<std::remove_reference_t<decltype(into)>>(n);
    s.remove_prefix(static_cast<std::size_t>(end - s.data()));
    return true;
  };
  if (!detail::visit_parts(k, read) || !s.empty()) return std::nullopt;
  return k;
}
/// As above; throws errc::bad_file.
inline operation_key parse_operation_key(std::string_view s, std::string_view where = "latency table") {
  if (auto k = find_operation_key(s)) return *k;
  if (s.starts_with("expanded_conv") && s.find("-se:") == s.npos && find_operation_key(text(s, "-se:0-hs:0")))
    throw error(errc::bad_file, where,
                "once-for-all's tables of MobileNetV3, whose keys end with -se: (squeeze-excite) and -hs: (h-swish)",
                text("one of ProxylessNAS or MobileNetV2, whose keys end with -idskip: ", printable(s)));
  throw error(errc::bad_file, where, "a key of once-for-all's latency tables", printable(s));
}

/// Calls `visit(key)` for the operations of one block in their order: one, or for final_expand two (Conv_1 and the
/// pooling).
///
/// once-for-all writes mid channels as round(c_in · e) without make_divisible. Widths are multiples of 8 and ratios
/// whole numbers, so a plan's mid channels are the same number. The second and later blocks of a stage share keys,
/// since they are the same work.
template <class Visit>
void for_each_operation(const block& b, Visit visit) {
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
    k.expand = b.mid_channels;
    k.kernel = b.kernel;
    k.stride = b.stride;
    k.idskip = b.residual;
    k.squeeze_excite = b.se_channels > 0;
    k.h_swish = b.act == activation::h_swish;
    break;
  case block_kind::final_expand:
    k.type = operation_key::kind::conv_1;
    k.out_size = b.in_size;
    visit(k);
    k = {.type = operation_key::kind::avg_pool,
         .in_size = b.in_size,
         .in_channels = b.out_channels,
         .out_size = 1,
         .out_channels = b.out_channels};
    break;
  case block_kind::feature_mix: k.type = operation_key::kind::conv_2; break;
  case block_kind::classifier: k.type = operation_key::kind::logits; break;
  }
  visit(k);
}

/// The key that a block's time goes to: its first operation's. Whatever else the block has runs inside that.
inline std::string timed_key(const block& b) {
  std::string key;
  for_each_operation(b, [&](const operation_key& k) {
    if (key.empty()) key = to_string(k);
  });
  return key;
}

} // namespace dynofa
