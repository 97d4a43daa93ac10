#pragma once
#include "dynofa/runtime/coordination_rule.hpp"

#include <array>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace dynofa::runtime {

namespace detail {

/// What a rule says of a member, kept until its lock is free: whoever is told may take long, or ask the member.
struct dumped_fields {
  std::array<std::pair<std::string_view, double>, 16> all;
  std::size_t count = 0;
  void operator()(std::string_view name, double value) noexcept {
    if (count < all.size()) all[count++] = {name, value};
  }
};

/// A network's part in a coordination, as a run-time policy. What keeps the part is a `Place`.
template <class Place>
class coordinated_member {
public:
  static constexpr std::string_view name = "coordinated";

  explicit coordinated_member(std::shared_ptr<Place> place)
      : place_{std::move(place)} {}

  void observe(std::size_t level, double latency_ms) noexcept { place_->observe(level, latency_ms); }
  std::size_t decide(const target& t) noexcept { return place_->decide(t); }
  std::span<const level_figures> levels() const noexcept { return place_->levels; }
  reason why() const noexcept { return place_->why; }
  template <class F>
  void dump(F&& field) const {
    dumped_fields fields;
    place_->dump(fields);
    for (std::size_t i = 0; i < fields.count; ++i) field(fields.all[i].first, fields.all[i].second);
  }

private:
  std::shared_ptr<Place> place_;
};

struct shared_rule {
  std::mutex mutex;
  coordination_rule rule;
};

/// A member's number in a rule, given back with the last copy of the member.
struct coordinator_place {
  coordinator_place(std::shared_ptr<shared_rule> together, std::span<const level_figures> of, const member_options& how)
      : with{std::move(together)}
      , levels(of.begin(), of.end()) {
    const std::scoped_lock lock(with->mutex);
    number = with->rule.join(levels, how);
  }
  coordinator_place(const coordinator_place&) = delete;
  coordinator_place& operator=(const coordinator_place&) = delete;
  ~coordinator_place() {
    const std::scoped_lock lock(with->mutex);
    with->rule.leave(number);
  }

  void observe(std::size_t level, double latency_ms) noexcept {
    const std::scoped_lock lock(with->mutex);
    with->rule.observe(number, level, latency_ms);
  }
  std::size_t decide(const target& t) noexcept {
    const std::scoped_lock lock(with->mutex);
    const std::size_t level = with->rule.decide(number, t);
    why = with->rule.why(number);
    return level;
  }
  void dump(dumped_fields& fields) const {
    const std::scoped_lock lock(with->mutex);
    with->rule.dump(number, fields);
  }

  std::shared_ptr<shared_rule> with;
  std::vector<level_figures> levels;
  std::size_t number = 0;
  reason why = reason::start;
};

} // namespace detail

/// Several dynamic networks of one process on one device, whose levels are found together by the rule of
/// `coordination_rule`. Each network gets a member, which is a run-time policy:
///
///     thread_coordinator device;
///     manager<Backend, thread_coordinator::member> camera(network, device.join(levels, {.weight = 2}));
///
/// Members may live in threads of their own. Inside is one mutex, held for a microsecond or two per image.
class thread_coordinator {
public:
  /// One network's part. Copies are the same member, which leaves when the last of them is gone; so a log is replayed
  /// with a coordinator of its own. `observe` and `decide` of *one* member are for one thread at a time.
  using member = detail::coordinated_member<detail::coordinator_place>;

  /// Throws errc::invalid_argument for options out of range.
  explicit thread_coordinator(const coordination_options& options = {}) { shared_->rule = coordination_rule(options); }

  /// Throws errc::invalid_argument for a bad front or option, errc::infeasible if there are 16 members already.
  member join(std::span<const level_figures> levels, const member_options& how = {}) {
    return member(std::make_shared<detail::coordinator_place>(shared_, levels, how));
  }
  /// How many have joined and not left; from any thread.
  std::size_t members() const {
    const std::scoped_lock lock(shared_->mutex);
    return shared_->rule.size();
  }

private:
  std::shared_ptr<detail::shared_rule> shared_ = std::make_shared<detail::shared_rule>();
};
static_assert(runtime_policy<thread_coordinator::member>);

} // namespace dynofa::runtime
