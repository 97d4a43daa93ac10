#pragma once
#include "dynofa/runtime/coordination.hpp"

#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace dynofa::runtime {

/// Several dynamic networks of one process on one device, whose levels are found together by the rule of
/// `coordination`. Each network gets a member, which is a run-time policy:
///
///     coordinator device;
///     manager<Backend, coordinator::member> camera(network, device.join(levels, {.weight = 2}));
///
/// Members may live in threads of their own. Inside is one mutex, held for a microsecond or two per image.
class coordinator {
  struct shared {
    explicit shared(const coordination_options& options)
        : rule{options} {}
    std::mutex mutex;
    coordination rule;
  };

public:
  explicit coordinator(const coordination_options& options = {})
      : shared_{std::make_shared<shared>(options)} {}

  /// One network's part. Copies are the same member, which leaves when the last of them is gone; so a log is replayed
  /// with a coordinator of its own. `observe` and `decide` of *one* member are for one thread at a time.
  class member {
  public:
    static constexpr std::string_view name = "coordinated";

    void observe(std::size_t level, double latency_ms) noexcept {
      const std::scoped_lock lock(place_->with->mutex);
      place_->with->rule.observe(place_->number, level, latency_ms);
    }
    std::size_t decide(const target& t) noexcept {
      const std::scoped_lock lock(place_->with->mutex);
      const std::size_t level = place_->with->rule.decide(place_->number, t);
      why_ = place_->with->rule.why(place_->number);
      return level;
    }
    std::span<const level_figures> levels() const noexcept { return place_->levels; }
    reason why() const noexcept { return why_; }
    template <class F>
    void dump(F&& field) const {
      const std::scoped_lock lock(place_->with->mutex);
      place_->with->rule.dump(place_->number, field);
    }

  private:
    friend coordinator;
    struct place {
      place(std::shared_ptr<shared> together, std::span<const level_figures> of, const member_options& how)
          : with{std::move(together)}
          , levels(of.begin(), of.end()) {
        const std::scoped_lock lock(with->mutex);
        number = with->rule.join(levels, how);
      }
      place(const place&) = delete;
      place& operator=(const place&) = delete;
      ~place() {
        const std::scoped_lock lock(with->mutex);
        with->rule.leave(number);
      }
      std::shared_ptr<shared> with;
      std::vector<level_figures> levels;
      std::size_t number = 0;
    };
    explicit member(std::shared_ptr<place> p)
        : place_{std::move(p)} {}

    std::shared_ptr<place> place_;
    reason why_ = reason::start;
  };

  /// Throws errc::invalid_argument for a bad front or option, errc::infeasible if there are 16 members already.
  member join(std::span<const level_figures> levels, const member_options& how = {}) {
    return member(std::make_shared<member::place>(shared_, levels, how));
  }
  std::size_t members() const {
    const std::scoped_lock lock(shared_->mutex);
    return shared_->rule.size();
  }

private:
  std::shared_ptr<shared> shared_;
};
static_assert(runtime_policy<coordinator::member>);

} // namespace dynofa::runtime
