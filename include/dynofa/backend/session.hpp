#pragma once
#include "dynofa/backend/packed_formats.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace dynofa {

/// Levels of one super-network on one backend, with the packed weights they share and one workspace for them all.
///
///     dynofa::session on_cpu(backend::cpu{}, net);
///     auto level = on_cpu.load(arch, statistics);    // once; allocates
///     on_cpu.run(level, image, logits);              // again and again; does not
///
/// Everything that a caller can get wrong is checked here, once, and is one sentence: an architecture that the space
/// does not have, statistics or weights of something else, a level of another session, images and logits of another
/// size, a block that is not there. Whatever throws leaves the session as it was.
///
/// For one thread at a time. For several threads make several sessions from the same backend and `packed()`.
template <inference_backend Backend>
class session {
  static constexpr bool gives_maps =
      requires(Backend & b, typename Backend::bound& level, typename Backend::workspace& space, std::size_t i) {
    { b.map(level, space, i, i) } -> std::same_as<feature_map>;
  };
  struct entry {
    std::uint64_t owner;
    typename Backend::bound bound;
  };

public:
  using packed_ptr = std::shared_ptr<const typename Backend::packed>; ///< what the backend's `pack` gives

  /// One bound level, as a handle: copies are the same level, which lives as long as one of them. `level->plan` and
  /// `level->bytes()` are the backend's.
  class level {
  public:
    level() = default; ///< none: a session refuses it
    ///@{
    /// The backend's own object; undefined for a level that is none.
    typename Backend::bound& operator*() const { return entry_->bound; }
    typename Backend::bound* operator->() const { return &entry_->bound; }
    ///@}

  private:
    friend session;
    explicit level(std::shared_ptr<entry> e)
        : entry_{std::move(e)} {}
    std::shared_ptr<entry> entry_;
  };

  /// Packs the super-network, or takes what another session on the same kind of backend has packed of it. Throws
  /// errc::invalid_argument for no super-network, errc::mismatch for packed weights of another one.
  session(Backend backend, supernet_ptr net, packed_ptr packed = nullptr)
      : session{std::move(backend), std::move(net), packed_formats<Backend>{std::move(packed)}} {
    this->packed();
  }
  /// The same with only as much of the super-network packed as these plans read, where the backend can tell.
  session(Backend backend, supernet_ptr net, std::span<const plan> plans)
      : session{std::move(backend), std::move(net), packed_formats<Backend>{}} {
    pack("", plans);
  }
  /// With weights packed in several number formats; what is missing is packed when a level wants it.
  session(Backend backend, supernet_ptr net, std::type_identity_t<packed_formats<Backend>> packed)
      : backend_{std::move(backend)}
      , net_{checked(std::move(net))}
      , packed_{std::move(packed)} {
    for (const auto& [name, weights] : packed_.by_name) check(weights);
  }

  ///@{
  /// Levels stay valid, and belong to the session moved to.
  session(session&&) noexcept = default;
  session& operator=(session&&) noexcept = default;
  ///@}

  /// Binds a plan with its batch-norm scale and shift. The workspace grows when the next image runs, or in `prepare`;
  /// it never gets smaller, so levels that come and go settle on one. Throws errc::mismatch for a plan or norms of
  /// another network, and what the backend refuses. `format`: the number format of its weights by the backend's name
  /// for it, "int8"; "" is the backend's own. The first level of a format packs the super-network.
  level bind(const plan& p, const scale_shift& norms, const std::string& format = "") {
    if (!(p.space == net_->space))
      throw error(errc::mismatch, "session", "a plan of its super-network's space",
                  text("a plan of another space, ", p.arch));
    if (net_->only && !(*net_->only == p.arch))
      throw error(errc::mismatch, "session", text("the extracted sub-network ", *net_->only), text(p.arch));
    if constexpr (!gives_maps)
      if (p.named_maps() > 0)
        throw error(errc::unsupported, "session", "a plan without named maps, which its backend cannot give",
                    text(p.named_maps(), " of them"));
    level made{std::make_shared<entry>(entry{id_, backend_.bind(packed(format), p, norms)})};
    std::erase_if(levels_, [](const auto& each) { return each.expired(); });
    levels_.push_back(made.entry_);
    if (!workspace_ || !fits(p)) ready_ = false;
    return made;
  }
  /// Binds `a` with its batch-norm statistics. Throws `error` if the space does not contain `a`, if the statistics have
  /// another length, or if the super-network holds another extracted network.
  level load(const arch& a, const bn_statistics& statistics, int batch = 1, const std::string& format = "") {
    const plan p = make_plan(net_->space, a, batch);
    return bind(p, fold(*net_, p, statistics), format);
  }
  /// Binds `a` with the statistics the checkpoint came with: right for the largest sub-network only.
  level load(const arch& a) { return load(a, stored_statistics(*net_, a)); }

  /// image [N,r,r,3] (N: the level's batch) → logits [N,classes]. Allocates nothing but for a level that was bound, or
  /// whose workspace grew, since the last `prepare`.
  void run(const level& level, std::span<const float> image, std::span<float> logits) {
    auto& bound = checked(level);
    check_size("image", image.size(), bound.plan.image_values());
    check_size("logits", logits.size(), bound.plan.logit_values());
    backend_.run(bound, workspace(), image, logits);
  }
  /// The same with logits of its own: allocates.
  std::vector<float> run(const level& level, std::span<const float> image) {
    std::vector<float> logits(checked(level).plan.logit_values());
    run(level, image, logits);
    return logits;
  }
  /// Map i of image n of the level's last run, where the backend left it: nothing is copied. It is valid until the
  /// session runs again. `bind` a plan that `with_maps` or `with_maps_at` made.
  feature_map map(const level& level, std::size_t i, std::size_t n = 0) requires gives_maps {
    auto& bound = checked(level);
    if (i >= bound.plan.named_maps() || n >= static_cast<std::size_t>(bound.plan.batch))
      throw error(errc::invalid_argument, "session, map",
                  text("one of ", bound.plan.named_maps(), " maps of ", bound.plan.batch, " images"),
                  text("map ", i, " of image ", n));
    return backend_.map(bound, workspace(), i, n);
  }
  /// Block b alone: in [N,in,in,C] → out [N,out,out,C'], which do not overlap.
  void run_block(const level& level, std::size_t b, std::span<const float> in, std::span<float> out) {
    auto& bound = checked(level, b);
    const auto batch = static_cast<std::size_t>(bound.plan.batch);
    check_size("input", in.size(), batch * static_cast<std::size_t>(bound.plan.blocks[b].in_values()));
    check_size("output", out.size(), batch * static_cast<std::size_t>(bound.plan.blocks[b].out_values()));
    backend_.run_block(bound, workspace(), b, in, out);
  }
  /// Milliseconds per run of block b, on whatever activations there are.
  double time_block(const level& level, std::size_t b, int repeats) {
    return backend_.time_block(checked(level, b), workspace(), b, checked_repeats(repeats));
  }
  /// Milliseconds per run of the level by the device's own clock, on whatever image there is.
  double time_run(const level& level, int repeats) {
    return backend_.time_run(checked(level), workspace(), checked_repeats(repeats));
  }

  /// Makes the workspace for all levels there are and does what would make their first images slower than the next.
  void prepare() {
    auto& space = workspace();
    if constexpr (requires(typename Backend::bound & b) { backend_.prepare(b, space); })
      for (const auto& each : levels_)
        if (const auto e = each.lock()) backend_.prepare(e->bound, space);
  }

  ///@{
  /// What the session was made with; levels are bound to it.
  Backend& backend() { return backend_; }
  const Backend& backend() const { return backend_; }
  ///@}
  /// Big enough for every level there is.
  typename Backend::workspace& workspace() {
    if (!ready_) grow();
    return *workspace_;
  }
  const supernet& net() const { return *net_; } ///< whose weights it runs
  /// The super-network in a number format: packed when it is first asked for.
  const packed_ptr& packed(const std::string& format = "") { return pack(format, std::nullopt); }
  /// The same of what these plans read alone, where the backend can tell and nothing is packed in this format yet.
  const packed_ptr& pack(const std::string& format, std::optional<std::span<const plan>> plans) {
    const std::string& name = own_name(format);
    if (const auto have = packed_.by_name.find(name); have != packed_.by_name.end()) return have->second;
    packed_ptr made = pack_for(backend_, net_, plans, name);
    check(made);
    return packed_.by_name.emplace(name, std::move(made)).first->second;
  }
  /// "" for the backend's own format by name, so that it is packed once; every other name as it is.
  const std::string& own_name(const std::string& format) const {
    static const std::string own;
    if constexpr (packs_formats<Backend>)
      if (format == backend_.format_name()) return own;
    return format;
  }
  /// All formats that are packed.
  const packed_formats<Backend>& all_packed() const { return packed_; }

private:
  void check(const packed_ptr& packed) const {
    if (!packed || packed->source() != net_->fingerprint())
      throw error(errc::mismatch, "session", "weights packed from its super-network", "those of another one");
  }
  static supernet_ptr checked(supernet_ptr net) {
    if (!net) throw error(errc::invalid_argument, "session", "a super-network", "none");
    return net;
  }
  typename Backend::bound& checked(const level& l) const {
    if (!l.entry_ || l.entry_->owner != id_)
      throw error(errc::mismatch, "session", "a level of its own", l.entry_ ? "one of another session" : "none");
    return l.entry_->bound;
  }
  typename Backend::bound& checked(const level& l, std::size_t b) const {
    auto& bound = checked(l);
    if (b >= bound.plan.blocks.size())
      throw error(errc::invalid_argument, "session", text("a block below ", bound.plan.blocks.size()), text(b));
    return bound;
  }
  static int checked_repeats(int repeats) {
    if (repeats < 1) throw error(errc::invalid_argument, "session, repeats", "at least 1", text(repeats));
    return repeats;
  }
  static void check_size(const char* what, std::size_t found, std::size_t wanted) {
    if (found != wanted)
      throw error(errc::invalid_argument, text("session, ", what), text(wanted, " values"), text(found));
  }
  static constexpr bool tells_what_fits =
      requires(Backend & b, const typename Backend::workspace& space, const plan& p) {
    b.fits(space, p);
  };
  /// A workspace for what the last one was made for and all levels there are. A search that loads one architecture
  /// after the other would otherwise have a new one for each: one buffer or another is always larger.
  void grow() {
    std::vector<plan> plans;
    if constexpr (tells_what_fits) plans = made_for_;
    const auto same = [](const plan& p, const plan& q) {
      return p.batch == q.batch && p.arch == q.arch && p.blocks == q.blocks;
    };
    for (const auto& each : levels_)
      if (const auto e = each.lock()) {
        const plan& p = e->bound.plan;
        if (std::ranges::none_of(plans, [&](const plan& q) { return same(p, q); })) plans.push_back(p);
      }
    workspace_.reset(); // old and new are never both alive
    workspace_.emplace(backend_.make_workspace(plans));
    made_for_ = std::move(plans);
    ready_ = true;
  }
  bool fits(const plan& p) {
    if constexpr (tells_what_fits)
      return backend_.fits(*workspace_, p);
    else
      return false;
  }
  static std::uint64_t next_id() {
    static std::atomic<std::uint64_t> next{1};
    return next.fetch_add(1, std::memory_order_relaxed);
  }

  Backend backend_;
  supernet_ptr net_;
  packed_formats<Backend> packed_;
  std::vector<std::weak_ptr<entry>> levels_;
  std::vector<plan> made_for_;
  std::optional<typename Backend::workspace> workspace_;
  bool ready_ = false; ///< whether the workspace fits every level
  std::uint64_t id_ = next_id();
};

/// The index of the largest logit, the lowest of equal ones; `logits.size()`, which is no class, if one of them is NaN.
inline std::size_t argmax(std::span<const float> logits) {
  std::size_t best = 0;
  for (std::size_t c = 0; c < logits.size(); ++c) {
    if (std::isnan(logits[c])) return logits.size();
    if (logits[c] > logits[best]) best = c;
  }
  return best;
}

} // namespace dynofa
