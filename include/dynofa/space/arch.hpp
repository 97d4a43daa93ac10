#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/random.hpp"
#include "dynofa/space/description.hpp"

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>

namespace dynofa {

/// One sub-network: kernel size and expand ratio of every block, depth of every stage, input resolution.
///
/// The genes lie stage by stage, `ks.size() / d.size()` to a stage (20 / 5 = 4 in once-for-all); of stage s only the
/// first `d[s]` are active. Equality, order and hash look at the active genes alone: two architectures that build the
/// same network are the same.
struct arch {
  inline_vector<std::uint8_t, max_blocks> ks; ///< kernel size of each block
  inline_vector<std::uint8_t, max_blocks> e;  ///< expand ratio of each block
  inline_vector<std::uint8_t, max_stages> d;  ///< active blocks of each stage
  std::uint16_t r = 0;                        ///< input is r × r

  constexpr std::size_t blocks_per_stage() const { return d.empty() ? 0 : ks.size() / d.size(); }
  /// Whether the lengths fit each other. An arch of a file need not; it can still be compared, hashed and printed,
  /// every gene then counting as active, until `validate` refuses it.
  constexpr bool well_formed() const {
    return ks.size() == e.size() && !ks.empty() && ks.size() == blocks_per_stage() * d.size();
  }
  constexpr bool active(std::size_t gene) const {
    return !well_formed() || gene % blocks_per_stage() < d[gene / blocks_per_stage()];
  }

  /// The same network with every inactive gene set to that of its stage's first block (legal in any space).
  constexpr arch canonical() const {
    arch a = *this;
    if (!well_formed()) return a;
    const std::size_t n = blocks_per_stage();
    for (std::size_t i = 0; i < a.ks.size(); ++i)
      if (!active(i)) {
        a.ks[i] = a.ks[i / n * n];
        a.e[i] = a.e[i / n * n];
      }
    return a;
  }

  friend constexpr std::strong_ordering operator<=>(const arch& a, const arch& b) {
    const arch x = a.canonical(), y = b.canonical();
    if (auto c = x.r <=> y.r; c != 0) return c;
    if (auto c = x.d <=> y.d; c != 0) return c;
    if (auto c = x.ks <=> y.ks; c != 0) return c;
    return x.e <=> y.e;
  }
  friend constexpr bool operator==(const arch& a, const arch& b) { return (a <=> b) == 0; }

  /// A 64-bit hash of the canonical form; the same on every machine, so files may store it.
  constexpr std::uint64_t hash() const {
    std::uint64_t h = mix64(r + 0x9E3779B97F4A7C15u * d.size());
    for (auto depth : d) h = mix64(h ^ depth);
    for (std::size_t i = 0; i < std::max(ks.size(), e.size()); ++i)
      if (active(i))
        h = mix64(h ^ (std::uint64_t(i < ks.size() ? ks[i] : 0) << 8 | (i < e.size() ? e[i] : 0)) ^ i << 16);
    return h;
  }

  /// "r160 d 2 3 2 2 4  k 3 5 | 7 3 3 | …  e 3 4 | …", active genes only.
  friend std::ostream& operator<<(std::ostream& out, const arch& a) {
    out << 'r' << a.r << " d";
    for (int depth : a.d) out << ' ' << depth;
    auto genes = [&](const char* name, const auto& values) {
      out << ' ' << name;
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (i && a.well_formed() && i % a.blocks_per_stage() == 0) out << " |";
        if (a.active(i)) out << ' ' << int(values[i]);
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
  for (std::size_t i = 0; i < values.size(); ++i) s += (i ? ", " : "") + std::to_string(values[i]);
  return s;
}

} // namespace detail

/// The first fault of `a` in `space`, as the error that names field, legal values and what was found; nothing if it is
/// legal. Genes of inactive blocks must be legal too, as in once-for-all.
inline std::optional<error> find_fault(const space_description& space, const arch& a) {
  auto fault = [](std::string field, std::string expected, std::string got) {
    return error(errc::invalid_arch, "architecture field " + field, std::move(expected), std::move(got));
  };
  const std::size_t stages = space.stages.size(), per_stage = space.blocks_per_stage();
  auto length = [&](std::size_t found, std::size_t wanted, const char* field) -> std::optional<error> {
    if (found == wanted) return std::nullopt;
    return fault(field, text(wanted, " values"), text(found, found == 1 ? " value" : " values"));
  };
  if (auto f = length(a.ks.size(), stages * per_stage, "ks")) return f;
  if (auto f = length(a.e.size(), stages * per_stage, "e")) return f;
  if (auto f = length(a.d.size(), stages, "d")) return f;
  for (std::size_t s = 0; s < stages; ++s) {
    const auto& stage = space.stages[s];
    auto one_of = [&](int value, const choices& offered, const char* field, std::size_t i) -> std::optional<error> {
      for (int legal : offered)
        if (legal == value) return std::nullopt;
      return fault(text(field, '[', i, ']'), text("one of ", detail::list_of(offered), " (stage ", s + 1, ')'),
                   std::to_string(value));
    };
    if (auto f = one_of(a.d[s], stage.depths, "d", s)) return f;
    for (std::size_t i = s * per_stage; i < (s + 1) * per_stage; ++i) {
      if (auto f = one_of(a.ks[i], stage.kernels, "ks", i)) return f;
      if (auto f = one_of(a.e[i], stage.expands, "e", i)) return f;
    }
  }
  if (!space.resolutions.contains(a.r))
    return fault("r", "one of " + detail::list_of(space.resolutions), std::to_string(a.r));
  return std::nullopt;
}

/// Whether the space contains `a`: `find_fault` without the sentence, at compile time too.
constexpr bool is_legal(const space_description& space, const arch& a) {
  const std::size_t genes = space.block_genes(), per_stage = space.blocks_per_stage();
  if (a.ks.size() != genes || a.e.size() != genes || a.d.size() != space.stages.size()) return false;
  for (std::size_t i = 0; i < genes; ++i) {
    const auto& stage = space.stages[i / per_stage];
    if (!stage.kernels.contains(a.ks[i]) || !stage.expands.contains(a.e[i])) return false;
    if (!stage.depths.contains(a.d[i / per_stage])) return false;
  }
  return space.resolutions.contains(a.r);
}

/// Throws the fault that `find_fault` finds.
inline void validate(const space_description& space, const arch& a) {
  if (auto fault = find_fault(space, a)) throw *std::move(fault);
}

/// The architecture that takes choice `pick(offered)` everywhere.
template <class Pick>
constexpr arch uniform_arch(const space_description& space, int r, Pick pick) {
  arch a;
  const std::size_t per_stage = space.blocks_per_stage();
  for (const auto& stage : space.stages) {
    a.d.push_back(pick(stage.depths));
    for (std::size_t b = 0; b < per_stage; ++b) {
      a.ks.push_back(pick(stage.kernels));
      a.e.push_back(pick(stage.expands));
    }
  }
  a.r = static_cast<std::uint16_t>(r);
  return a;
}
/// Largest kernel, expand ratio, depth and resolution everywhere.
constexpr arch largest(const space_description& space) {
  return uniform_arch(space, space.resolutions.max(), [](const choices& c) { return c.max(); });
}
/// Smallest everywhere.
constexpr arch smallest(const space_description& space) {
  return uniform_arch(space, space.resolutions.min(), [](const choices& c) { return c.min(); });
}

} // namespace dynofa

template <>
struct std::hash<dynofa::arch> {
  std::size_t operator()(const dynofa::arch& a) const noexcept { return static_cast<std::size_t>(a.hash()); }
};
