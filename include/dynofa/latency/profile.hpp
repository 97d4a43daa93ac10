#pragma once
#include "dynofa/backend/session.hpp"
#include "dynofa/latency/interpolate.hpp"
#include "dynofa/latency/machine.hpp"
#include "dynofa/latency/model.hpp"
#include "dynofa/latency/profile_options.hpp"
#include "dynofa/latency/profile_plan.hpp"
#include "dynofa/latency/profile_state.hpp"
#include "dynofa/latency/samples.hpp"
#include "dynofa/space/json.hpp"

#include <algorithm>
#include <chrono>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace dynofa {

/// Builds the latency table of one device: times every operation that networks of a space are made of.
///
///     profiler profile(backend::cpu{}, net, {.resolutions = {160, 192, 224}});
///     profile.run();                                       // half a minute
///     save_latency_table("my_device.json", profile.table());
///     calibrated_model latency = profile.model();          // table sum, corrected by whole-network runs
///
/// Visits carrier networks in turn (profile_plan.hpp), all resolutions interleaved, so that whatever else the machine
/// does falls on all operations alike: one run to warm up, one run timed as a whole, then each block once in order. A
/// reference operation is timed after every visit. Times do not depend on the values of weights: a random
/// super-network (model/random_supernet.hpp) profiles as well as a trained one.
template <inference_backend Backend>
class profiler {
public:
  /// Binds all carriers. Throws errc::invalid_argument for senseless options, errc::invalid_arch for a resolution that
  /// the space does not offer, errc::mismatch for a state of another backend, processor, space or other options.
  profiler(Backend backend, supernet_ptr net, profile_options options, profile_state state = {})
      : net_{net}
      , runner_{std::move(backend), std::move(net)}
      , options_{std::move(options)}
      , state_{std::move(state)} {
    check_options();
    measured_ = options_.resolutions;
    if (options_.quick && measured_.size() > 3)
      measured_ = {measured_.front(), measured_[measured_.size() / 2], measured_.back()};
    plan_ = plan_profile(net_->space, measured_,
                         options_.quick ? profile_extent::corners : profile_extent::every_choice, options_.seed);
    adopt_state();
    bind_carriers();
  }

  /// Measures until every median is settled or the time is up. False if a stop was asked for; calling it again, or a
  /// profiler made with `state()`, goes on.
  bool run() {
    using clock = std::chrono::steady_clock;
    const double before = state_.seconds;
    const auto start = clock::now();
    const double budget = options_.seconds_per_resolution * static_cast<double>(measured_.size());
    std::size_t most = 0;
    for (const auto& of : plan_.resolutions) most = std::max(most, of.carriers.size());
    for (;;) {
      const auto open = unsettled_carriers();
      if (settled_ == keys_) return true;
      for (std::size_t c = 0; c < most; ++c)
        for (std::size_t i = 0; i < measured_.size(); ++i) {
          if (c >= open[i].size() || !open[i][c]) continue;
          const bool first_time = state_.resolutions[measured_[i]].carriers[c].empty();
          if (state_.seconds >= budget && !first_time) continue;
          visit(i, c);
          state_.seconds = before + std::chrono::duration<double>(clock::now() - start).count();
          if (options_.stop.stop_requested() || !tell(budget)) return false;
        }
      if (state_.seconds >= budget) {
        (void)unsettled_carriers();
        return true;
      }
    }
  }

  /// For `save_profile_state`, and for another profiler to go on from.
  const profile_state& state() const { return state_; }

  /// The table of what has been measured so far; of a quick profile, with the rest filled in.
  latency_table table() const { return make_table().first; }

  /// How far what has been measured so far can be trusted.
  profile_report report() const {
    profile_report report;
    report.seconds = state_.seconds;
    for (const auto& of : plan_.resolutions)
      for (const auto& key : of.keys) {
        ++report.keys;
        if (const double width = half_width(of.r, key); !(width <= options_.tolerance))
          report.unsettled.push_back({of.r, key, width});
      }
    std::ranges::sort(report.unsettled, std::ranges::greater{}, &profile_report::unsettled::half_width);
    report.drift = drift();
    if (samples s = state_.reference; s.size() >= 4) {
      std::sort(s.begin(), s.end());
      report.noise = (detail::quantile(s, 0.75) - detail::quantile(s, 0.25)) / detail::quantile(s, 0.5);
    }
    report.interpolation = make_table().second;
    return report;
  }

  /// The carriers as whole networks: what a table's sum is calibrated with.
  std::vector<timed_arch> whole_networks() const {
    std::vector<timed_arch> all;
    for (const auto& of : plan_.resolutions)
      for (std::size_t c = 0; c < of.carriers.size(); ++c)
        if (const auto& times = state_.resolutions.at(of.r).carriers[c]; !times.empty())
          all.push_back({of.carriers[c].plan.arch, milliseconds(find_median(times).median * 1e-6)});
    return all;
  }

  /// The table's model over the profiled resolutions, corrected by the whole networks.
  calibrated_model model() const {
    space_description space = net_->space;
    space.resolutions = {options_.resolutions.begin(), options_.resolutions.end()};
    std::vector<arch> archs;
    std::vector<milliseconds> measured;
    for (const auto& whole : whole_networks()) archs.push_back(whole.arch), measured.push_back(whole.latency);
    return {table_model(space, table()), archs, measured};
  }

private:
  void check_options() {
    const auto& offered = net_->space.resolutions;
    auto& wanted = options_.resolutions;
    if (wanted.empty()) wanted.assign(offered.begin(), offered.end());
    std::sort(wanted.begin(), wanted.end());
    wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
    require_argument(!wanted.empty(), "profile resolutions", "at least one", "none");
    for (int r : wanted) require_argument(r >= 1 && r <= 4096, "profile resolutions", "resolutions in 1..4096", r);
    require_argument(options_.tolerance > 0, "profile tolerance", "above 0", options_.tolerance);
    const double seconds = options_.seconds_per_resolution;
    require_argument(seconds >= 0, "profile seconds_per_resolution", "0 or more", seconds);
    require_argument(options_.runs_per_sample >= 1, "profile runs_per_sample", "at least 1", options_.runs_per_sample);
  }

  /// All that times depend on. Not the weights: of their values they are independent.
  named_inputs inputs() const {
    std::string resolutions;
    for (int r : measured_) resolutions += text(resolutions.empty() ? "" : " ", r);
    return {{"backend", runner_.backend().name()},
            {"processor", read_machine_facts().processor},
            {"space", text("hash ", in_base(16, fnv1a64(nlohmann::json(net_->space).dump())))},
            {"resolutions", resolutions},
            {"extent", options_.quick ? "quick" : "full"},
            {"runs per sample", text(options_.runs_per_sample)},
            {"seed", text(options_.seed)}};
  }

  /// Makes room for all samples and refuses a state that belongs to something else.
  void adopt_state() {
    const named_inputs now = inputs();
    if (!state_.inputs.empty()) require_same_inputs("stored profile", now, state_.inputs);
    state_.inputs = now;
    for (const auto& of : plan_.resolutions) {
      auto& have = state_.resolutions[of.r];
      if (have.carriers.size() > of.carriers.size())
        throw error(errc::mismatch, "stored profile", text(of.carriers.size(), " carriers"),
                    text(have.carriers.size()));
      have.carriers.resize(of.carriers.size());
      for (const auto& key : of.keys) have.keys[key];
    }
  }

  void bind_carriers() {
    for (const auto& of : plan_.resolutions) {
      auto& levels = levels_.emplace_back();
      for (const auto& c : of.carriers) {
        scale_shift norms = fold(*net_, c.plan, stored_statistics(*net_, c.plan));
        norms.ranges = timing_ranges(c.plan); // for backends that keep activations as bytes
        levels.push_back(runner_.bind(c.plan, norms));
      }
    }
    runner_.prepare();
    const auto largest = static_cast<std::size_t>(measured_.back());
    random_stream random(options_.seed, "profile image");
    image_.resize(largest * largest * 3);
    for (float& v : image_) v = static_cast<float>(random.normal());
    logits_.resize(static_cast<std::size_t>(net_->space.classes));
  }

  void visit(std::size_t i, std::size_t c) {
    const auto& of = plan_.resolutions[i];
    auto& into = state_.resolutions[of.r];
    auto& level = levels_[i][c];
    const std::span<const float> image(image_.data(), image_values(of.r));
    const auto ns = [](double ms) { return static_cast<std::int64_t>(ms * 1e6 + 0.5); };
    const auto time = [&](auto& l, std::size_t b) { return ns(runner_.time_block(l, b, options_.runs_per_sample)); };
    runner_.run(level, image, logits_);
    const auto start = std::chrono::steady_clock::now();
    runner_.run(level, image, logits_);
    into.carriers[c].push_back(
        ns(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count()));
    const auto& carrier = of.carriers[c];
    for (std::size_t b = 0; b < carrier.keys.size(); ++b)
      into.keys.find(of.keys[carrier.keys[b]])->second.push_back(time(level, b));
    state_.reference.push_back(time(levels_[0][0], plan_.resolutions[0].carriers[0].keys.size() / 2));
  }

  double half_width(int r, const std::string& key) const {
    const auto& s = state_.resolutions.at(r).keys.find(key)->second;
    return s.size() < options_.least_samples ? std::numeric_limits<double>::infinity() : find_median(s).half_width();
  }

  /// Which carriers hold an operation that is not settled; counts the settled ones on the way.
  std::vector<std::vector<bool>> unsettled_carriers() {
    std::vector<std::vector<bool>> open;
    settled_ = keys_ = 0;
    for (const auto& of : plan_.resolutions) {
      std::vector<bool> key_open;
      for (const auto& key : of.keys) key_open.push_back(!(half_width(of.r, key) <= options_.tolerance));
      keys_ += key_open.size();
      settled_ += static_cast<std::size_t>(std::count(key_open.begin(), key_open.end(), false));
      auto& carriers = open.emplace_back();
      for (const auto& c : of.carriers)
        carriers.push_back(std::any_of(c.keys.begin(), c.keys.end(), [&](auto k) { return key_open[k]; }));
    }
    return open;
  }

  bool tell(double budget) const {
    if (!options_.on_progress) return true;
    profile_progress p;
    p.settled = settled_, p.keys = keys_, p.seconds = state_.seconds;
    const double work = keys_ ? double(settled_) / double(keys_) : 0, time = budget > 0 ? state_.seconds / budget : 1;
    p.done = static_cast<std::size_t>(999 * std::min(1.0, std::max(work, time)));
    return options_.on_progress(p);
  }

  double drift() const {
    const auto& s = state_.reference;
    const auto third = static_cast<std::ptrdiff_t>(s.size() / 3);
    if (third < 10) return 0;
    const double first = find_median({s.begin(), s.begin() + third}).median;
    const double last = find_median({s.end() - third, s.end()}).median;
    return first > 0 ? std::abs(last - first) / first : 0;
  }

  std::pair<latency_table, interpolation_report> make_table() const {
    latency_table table;
    const machine_facts machine = read_machine_facts();
    table.device = !options_.device.empty() ? options_.device : machine.processor;
    table.backend = state_.inputs.at("backend");
    table.isa = options_.isa;
    table.threads = options_.threads;
    if constexpr (requires { table.isa = runner_.backend().isa_name(); })
      if (table.isa.empty()) table.isa = runner_.backend().isa_name();
    if constexpr (requires { table.threads = runner_.backend().thread_count(); })
      if (table.threads == 0) table.threads = runner_.backend().thread_count();
    table.governor = machine.governor;
    table.frequency_mhz = machine.frequency_mhz;
    table.drift = drift();
    for (const auto& of : plan_.resolutions) {
      const auto& have = state_.resolutions.at(of.r);
      auto& entries = table.resolutions[of.r];
      for (const auto& key : of.keys)
        if (const auto& s = have.keys.find(key)->second; !s.empty()) entries[key] = summarize(s);
      for (const auto& c : of.carriers)
        for (std::size_t b = 0; b < c.keys.size(); ++b)
          for_each_operation(c.plan, b, [&](const operation_key& inner) { // pooling runs inside final_expand
            const std::string key = to_string(inner);
            if (key == of.keys[c.keys[b]] || !entries.contains(of.keys[c.keys[b]])) return;
            entries[key] = {};
            entries[key].fused = true;
          });
    }
    interpolation_report filled;
    if (options_.quick) filled = interpolate_missing(table, net_->space, options_.resolutions);
    return {std::move(table), filled};
  }

  supernet_ptr net_;
  session<Backend> runner_;
  profile_options options_;
  profile_state state_;
  std::vector<int> measured_;
  profile_plan plan_;
  std::vector<std::vector<typename session<Backend>::level>> levels_; // per resolution and carrier
  std::vector<float> image_, logits_;
  std::size_t settled_ = 0, keys_ = 0;
};

} // namespace dynofa
