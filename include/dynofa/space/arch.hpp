#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/random.hpp"
#include "dynofa/space/description.hpp"

#include <algorithm>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <type_traits>

namespace dynofa {

/// One sub-network: a value for every gene of its space.
///
/// Kernels and ratios lie stage by stage. Of the blocks of stage s only the first `d[s]` are active. Equality, order
/// and hash look at the active genes alone: two architectures that build the same network are the same.
struct arch {
  inline_vector<std::uint8_t, max_blocks> ks; ///< kernel size of each block
  inline_vector<decimal, max_blocks> e;       ///< expand ratio of each block
  inline_vector<std::uint8_t, max_stages> d;  ///< active blocks of each stage
  std::uint16_t r = 0;                        ///< input is r × r
  /// Blocks of each stage; empty where all stages have the same number, as in once-for-all's MobileNetV3. Files do not
  /// have it: `conform` sets it.
  inline_vector<std::uint8_t, max_stages> uneven = {};
  /// Which of the space's width multipliers the stem and each stage have, or all of them; empty where widths are fixed.
  inline_vector<std::uint8_t, max_widths> w = {};
  /// Blocks of each stage that run whatever its depth, where a space has such. Files do not have it either.
  inline_vector<std::uint8_t, max_stages> fixed = {};

  /// `visit(value)` with the value of a gene, in its own type.
  template <class Arch, class Visit>
  static constexpr decltype(auto) value_of(Arch& a, const gene& g, Visit&& visit) {
    switch (g.kind) {
    case gene_kind::depth: return visit(a.d[g.stage]);
    case gene_kind::kernel: return visit(a.ks[g.block]);
    case gene_kind::expand: return visit(a.e[g.block]);
    case gene_kind::width: return visit(a.w[g.block]);
    default: return visit(a.r);
    }
  }
  ///@{
  /// The value of a gene: of a width the number of its multiplier. Not checked.
  constexpr decimal get(const gene& g) const {
    return value_of(*this, g, [](const auto& value) { return decimal(value); });
  }
  constexpr void set(const gene& g, decimal to) {
    value_of(*this, g, [to]<class Value>(Value& value) {
      if constexpr (std::is_same_v<Value, decimal>)
        value = to;
      else
        value = static_cast<Value>(int(to));
    });
  }
  ///@}

  ///@{
  /// Kernel and expand ratio of a block, counted through all stages. Not checked.
  constexpr block_choice choice(std::size_t block) const { return {ks[block], e[block]}; }
  constexpr void choose(std::size_t block, const block_choice& c) { ks[block] = c.kernel, e[block] = c.expand; }
  ///@}

  /// Whether the lengths fit each other. An arch of a file need not; it can still be compared, hashed and printed,
  /// every gene then counting as active, until `validate` refuses it.
  constexpr bool well_formed() const {
    if (ks.size() != e.size() || ks.empty() || d.empty()) return false;
    return uneven.empty() ? ks.size() % d.size() == 0 : uneven.size() == d.size() && first_block(d.size()) == ks.size();
  }
  /// The number of the first block of stage s of a well-formed arch.
  constexpr std::size_t first_block(std::size_t s) const {
    if (uneven.empty()) return s * (ks.size() / d.size());
    std::size_t n = 0;
    for (std::size_t i = 0; i < s; ++i) n += uneven[i];
    return n;
  }
  /// The stage that a block of a well-formed arch lies in.
  constexpr std::size_t stage_of(std::size_t block) const {
    if (uneven.empty()) return block / (ks.size() / d.size());
    std::size_t s = 0;
    while (first_block(s + 1) <= block) ++s;
    return s;
  }
  /// Whether a block runs.
  constexpr bool active(std::size_t block) const {
    if (!well_formed()) return true;
    const std::size_t s = stage_of(block);
    return block - first_block(s) < active_blocks(s);
  }
  /// How many blocks of stage s run.
  constexpr std::size_t active_blocks(std::size_t s) const { return (fixed.empty() ? 0u : fixed[s]) + d[s]; }
  /// Whether a gene counts.
  constexpr bool active(const gene& g) const { return !g.of_block() || active(std::size_t(g.block)); }

  /// The same network with every inactive gene set to that of its stage's first block (legal in any space).
  constexpr arch canonical() const {
    arch a = *this;
    if (!well_formed()) return a;
    for (std::size_t s = 0; s < d.size(); ++s) {
      const std::size_t first = first_block(s), end = first_block(s + 1);
      for (std::size_t i = first + active_blocks(s); i < end; ++i) a.ks[i] = a.ks[first], a.e[i] = a.e[first];
    }
    return a;
  }

  /// By resolution, depths, widths, kernels and ratios of the canonical forms: inactive genes do not count.
  friend constexpr std::strong_ordering operator<=>(const arch& a, const arch& b) {
    const arch x = a.canonical(), y = b.canonical();
    if (auto c = x.r <=> y.r; c != 0) return c;
    if (auto c = x.d <=> y.d; c != 0) return c;
    if (auto c = x.w <=> y.w; c != 0) return c;
    if (auto c = x.ks <=> y.ks; c != 0) return c;
    return x.e <=> y.e;
  }
  /// The same network at the same resolution.
  friend constexpr bool operator==(const arch& a, const arch& b) { return (a <=> b) == 0; }

  /// A 64-bit hash of the canonical form; the same on every machine, so files may store it.
  constexpr std::uint64_t hash() const {
    std::uint64_t h = mix64(r + 0x9E3779B97F4A7C15u * d.size());
    for (auto depth : d) h = mix64(h ^ depth);
    for (auto width : w) h = mix64(h ^ width);
    for (std::size_t i = 0; i < std::max(ks.size(), e.size()); ++i)
      if (active(i)) {
        const auto ratio = i < e.size() ? static_cast<std::uint64_t>(e[i].thousandths) : 0; // broken ones lie apart
        h = mix64(h ^ (std::uint64_t(i < ks.size() ? ks[i] : 0) << 8 | ratio / 1000 | ratio % 1000 << 32) ^ i << 16);
      }
    return h;
  }

  /// "r160 d 2 3 2 2 4  k 3 5 | 7 3 3 | …  e 3 4 | …", active genes only.
  friend std::ostream& operator<<(std::ostream& out, const arch& a) {
    out << 'r' << decimal(a.r) << " d";
    for (int depth : a.d) out << ' ' << decimal(depth);
    if (!a.w.empty()) out << " w";
    for (int width : a.w) out << ' ' << decimal(width);
    auto genes = [&](const char* name, const auto& values) {
      out << ' ' << name;
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (i && a.well_formed() && a.stage_of(i) != a.stage_of(i - 1)) out << " |";
        if (a.active(i)) out << ' ' << decimal(values[i]);
      }
    };
    genes("k", a.ks);
    genes("e", a.e);
    return out;
  }
};

namespace detail {

template <class Values>
std::string list_of(const Values& values) {
  std::string s;
  for (std::size_t i = 0; i < values.size(); ++i) s += text(i ? ", " : "", decimal(values[i]));
  return s;
}
/// "ks[7]"
inline std::string name_of(const gene& g) {
  switch (g.kind) {
  case gene_kind::depth: return text("d[", int(g.stage), ']');
  case gene_kind::kernel: return text("ks[", int(g.block), ']');
  case gene_kind::expand: return text("e[", int(g.block), ']');
  case gene_kind::width: return text("w[", int(g.block), ']');
  default: return "r";
  }
}

} // namespace detail

/// `a` with what files leave out: depths of last stages that offer one only, as ProxylessNAS' sixth, and kernels where
/// there is one only, as in ResNet. A deep stem has its residual convolution or not: what is between counts as none.
constexpr arch completed(const space_description& space, arch a) {
  while (!a.d.empty() && a.d.size() < space.stages.size() && space.stages[a.d.size()].depths.size() == 1)
    a.d.push_back(space.stages[a.d.size()].depths.front());
  if (space.has_deep_stem() && !a.d.empty() && a.d[0] < space.stages[0].depths.max())
    a.d[0] = space.stages[0].depths.min();
  const auto fixed_kernel = [](const stage_description& s) { return s.kernels.size() <= 1; };
  if (a.ks.empty() && std::all_of(space.stages.begin(), space.stages.end(), fixed_kernel))
    for (std::size_t b = 0; b < space.block_count(); ++b)
      a.ks.push_back(space.stages[space.stage_of(b)].kernels.front());
  return a;
}

/// The first fault of `a` in `space`, as the error that names field, legal values and what was found; nothing if it is
/// legal. Genes of inactive blocks must be legal too, as in once-for-all.
inline std::optional<error> find_fault(const space_description& space, const arch& given) {
  const arch a = completed(space, given);
  auto fault = [](const std::string& field, std::string expected, std::string got) {
    return error(errc::invalid_arch, "architecture field " + field, std::move(expected), std::move(got));
  };
  auto length = [&](std::size_t found, std::size_t wanted, const char* field) -> std::optional<error> {
    if (found == wanted) return std::nullopt;
    return fault(field, text(wanted, " values"), text(found, found == 1 ? " value" : " values"));
  };
  if (auto f = length(a.ks.size(), space.block_count(), "ks")) return f;
  if (auto f = length(a.e.size(), space.block_count(), "e")) return f;
  if (auto f = length(a.d.size(), space.stages.size(), "d")) return f;
  if (auto f = length(a.w.size(), space.width_count(), "w")) return f;
  for (const gene& g : space.genes())
    if (space.offer_index(g, a.get(g)) == space.offer_count(g)) {
      const std::string offers = space.offered(g, [](const auto& list) { return detail::list_of(list); });
      const std::string where = g.kind == gene_kind::resolution ? "" : text(" (stage ", int(g.stage) + 1, ')');
      return fault(detail::name_of(g), text("one of ", offers, where), text(a.get(g)));
    }
  return std::nullopt;
}

/// Whether the space contains `a`: `find_fault` without the sentence, at compile time too.
constexpr bool is_legal(const space_description& space, const arch& given) {
  const arch a = completed(space, given);
  if (a.ks.size() != space.block_count() || a.e.size() != a.ks.size() || a.d.size() != space.stages.size() ||
      a.w.size() != space.width_count())
    return false;
  const gene_list genes = space.genes();
  return std::all_of(genes.begin(), genes.end(),
                     [&](const gene& g) { return space.offer_index(g, a.get(g)) < space.offer_count(g); });
}

/// Throws the fault that `find_fault` finds.
inline void validate(const space_description& space, const arch& a) {
  if (auto fault = find_fault(space, a)) throw *std::move(fault);
}

namespace detail {
constexpr decltype(arch::uneven) uneven_blocks(const space_description& space) {
  decltype(arch::uneven) blocks;
  for (std::size_t s = 0; s < space.stages.size(); ++s) blocks.push_back(static_cast<std::uint8_t>(space.blocks_of(s)));
  return blocks.min() == blocks.max() ? decltype(blocks){} : blocks;
}
constexpr decltype(arch::fixed) fixed_blocks(const space_description& space) {
  decltype(arch::fixed) blocks;
  for (const auto& stage : space.stages) blocks.push_back(stage.fixed_blocks);
  return blocks.max() == 0 ? decltype(blocks){} : blocks;
}
} // namespace detail

/// `a`, which must be one of the space, with its blocks dealt to stages as the space has them: what compares equal to
/// others of it. Genes of blocks that do not run stay.
constexpr arch dealt(const space_description& space, arch a) {
  a = completed(space, a);
  a.uneven = detail::uneven_blocks(space), a.fixed = detail::fixed_blocks(space);
  return a;
}
/// The same in canonical form.
constexpr arch conform(const space_description& space, const arch& a) { return dealt(space, a).canonical(); }

/// The architecture whose value of each gene is `pick(gene, offered values)`, asked in the order of the genes.
template <class Pick>
constexpr arch make_arch(const space_description& space, Pick pick) {
  arch a;
  a.ks.resize(space.block_count()), a.e.resize(space.block_count()), a.d.resize(space.stages.size());
  a.w.resize(space.width_count());
  for (const gene& g : space.genes())
    a.set(g, space.offered(g, [&](const auto& list) { return decimal(pick(g, list)); }));
  a.uneven = detail::uneven_blocks(space), a.fixed = detail::fixed_blocks(space);
  return a;
}
/// Largest kernel, expand ratio, depth and resolution everywhere.
constexpr arch largest(const space_description& space) {
  return make_arch(space, [](const gene&, const auto& offered) { return offered.max(); });
}
/// Smallest everywhere.
constexpr arch smallest(const space_description& space) {
  return make_arch(space, [](const gene&, const auto& offered) { return offered.min(); });
}

/// The deepest network at resolution r whose blocks have kernel k and ratio e where they are offered, else the next
/// smaller choice, else the smallest. Over all k and e these meet every block that an architecture of the space can
/// have.
constexpr arch deepest(const space_description& space, int r, decimal k, decimal e) {
  arch a = make_arch(space, [&](const gene& g, const auto& offered) {
    if (!g.of_block()) return offered.max();
    const decimal wanted = g.kind == gene_kind::kernel ? k : e;
    auto best = offered.front();
    for (const auto& value : offered)
      if (decimal(value) <= wanted) best = value;
    return best;
  });
  a.r = static_cast<std::uint16_t>(r);
  return a;
}
/// `visit(deepest network)` for every kernel and ratio that any block is offered, kernels outermost, ascending. Where
/// widths are offered, for every pair of them too: the stem and every second stage have the one, the others the other,
/// so that every block has been met between every two widths.
template <class Visit>
constexpr void for_each_deepest(const space_description& space, int r, Visit visit) {
  inline_vector<decimal, 64> kernels, expands;
  for (const auto& stage : space.stages) {
    for (const auto k : stage.kernels) kernels.insert(k);
    for (const auto e : stage.expands) expands.insert(e);
  }
  const std::size_t widths = std::max<std::size_t>(1, space.widths.size()),
                    pairs = space.has_width_pairs() ? widths : 1;
  for (const decimal k : kernels)
    for (const decimal e : expands) {
      arch a = deepest(space, r, k, e);
      for (std::size_t i = 0; i < widths; ++i)
        for (std::size_t j = 0; j < pairs; ++j) {
          for (std::size_t w = 0; w < a.w.size(); ++w) a.w[w] = static_cast<std::uint8_t>(w % 2 == 0 ? i : j);
          visit(a);
        }
    }
}

} // namespace dynofa

/// By the canonical form.
template <>
struct std::hash<dynofa::arch> {
  /// As `arch::hash`.
  std::size_t operator()(const dynofa::arch& a) const noexcept { return static_cast<std::size_t>(a.hash()); }
};
