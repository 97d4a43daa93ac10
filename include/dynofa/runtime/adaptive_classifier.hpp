#pragma once
#include "dynofa/data/frame_preprocessor.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/family/latency_cache.hpp"
#include "dynofa/runtime/forecast.hpp"
#include "dynofa/runtime/manager.hpp"
#include "dynofa/runtime/run_counters.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dynofa {

/// What a frame shows, and how that was found.
struct classification {
  std::size_t index = 0;     ///< of the class
  std::string_view name;     ///< of the class, valid as long as the classifier; "" where the family names none
  float probability = 0;     ///< of the class, by softmax
  std::size_t level = 0;     ///< that the frame ran on, 0 the quickest
  double latency_ms = 0;     ///< what the target is for: the network, and the preparation where it counts
  double preparation_ms = 0; ///< from the frame to the network's input
  bool late = false;         ///< it took longer than the target
  bool switched = false;     ///< the frame before ran on another level
  runtime::reason why = runtime::reason::start; ///< that level

  /// For people: "espresso, 87 % (level 12, 2.1 ms, hold)".
  std::string to_string() const {
    return text(name.empty() ? text("class ", index) : std::string(name), ", ", std::lround(100 * probability),
                " % (level ", level, ", ", fixed(latency_ms, 1), " ms, ", runtime::name(why), ')');
  }
};

/// What a classifier may be told beyond its target.
struct classifier_options {
  /// What the target is a target for. `all`: the preparation too, so that it holds from the frame to the answer. What
  /// preparing costs is then measured on the first frame, and anew on a frame of another size or layout.
  runtime::counted_time counts = runtime::counted_time::network;
  /// How frames are resized. `quick` for frames much larger than the network's input (docs/guide/frames.md).
  data::resizing resize = data::resizing::exact;
  /// Folder in which this machine's latencies are kept between runs; "": they are measured every time.
  std::filesystem::path cache = default_cache_folder();
  /// Of measuring, where nothing is remembered: some tens of images of every level each. 30: a second or two.
  int rounds = 30;
  /// Called on the thread that classifies, after a frame that ran on another level than the one before.
  std::function<void(const classification&)> on_switch = {};
  /// Of the parts below, where their defaults do not do. `on_switch` and `counts` in it are the classifier's own.
  runtime::manager_options manager = {};
  runtime::forecast_options policy = {}; ///< of the policy that chooses levels
};

/// A frame in, an answer out, in time: everything that a program needs around a family in one object.
///
///     dynofa::adaptive_classifier net("family.dynofa", {.latency_ms = 20});   // dynofa/adaptive_classifier.hpp: on
///     the CPU auto answer = net(data::rgb_view{pixels, 640, 480});                     // answer.name, .probability,
///     .level, …
///
/// Opening reads the family, recalls or measures what its levels take here, and keeps those of its front. From then on
/// each frame runs on the most accurate level that will be in time (`runtime::forecast`), whatever else the machine
/// does. After the first frame of a size `operator()` allocates nothing; it costs, besides preparation and network,
/// what `runtime::manager` does and a softmax.
///
/// `set_target`, `wanted` and `counters` may be called from any thread, everything else is for one at a time. Neither
/// copyable nor movable. Nothing runs on when it is gone.
template <inference_backend Backend>
class basic_adaptive_classifier {
public:
  /// What runs the frames.
  using manager_type = runtime::manager<Backend, runtime::forecast>;

  /// Throws what reading the file throws, errc::invalid_argument for a target that cannot be, a family without levels
  /// or options out of range, and what the backend throws for levels that it cannot run.
  basic_adaptive_classifier(const std::filesystem::path& file, const runtime::target& wanted,
                            classifier_options options = {}, Backend backend = {})
      : basic_adaptive_classifier(load_family(file), wanted, std::move(options), std::move(backend)) {}
  /// The same of a family in memory.
  basic_adaptive_classifier(family f, const runtime::target& wanted, classifier_options options = {},
                            Backend backend = {})
      : basic_adaptive_classifier(wanted, options, opened(std::move(f), wanted, options, std::move(backend))) {}

  /// What the frame shows. Allocates for a frame of another size or layout than the last. Throws errc::device if the
  /// network's answer is no number, and what the backend throws.
  classification operator()(const data::frame& frame) {
    know(frame);
    const auto& r =
        manager_.run([&](int side, std::span<float> image) { preprocessor_.apply(frame, side, image); }, logits_);
    return answer(r, preprocessor_.last_ms());
  }

  /// From the next frame on, from any thread. Throws errc::invalid_argument for a target that cannot be, and keeps the
  /// old one.
  void set_target(const runtime::target& wanted) { manager_.set_target(wanted); }
  /// The target of the next frame; from any thread.
  runtime::target wanted() const { return manager_.wanted(); }

  /// What was classified so far, for a log or a monitoring system; from any thread.
  const runtime::run_counters& counters() const noexcept { return counters_; }

  const std::string& device() const noexcept { return device_; } ///< what latencies were measured on
  const std::vector<runtime::level_figures>& levels() const noexcept { return figures_; } ///< those that may run
  /// By index; empty where the family names none.
  const std::vector<data::class_name>& classes() const noexcept { return classes_; }
  std::span<const float> logits() const noexcept { return logits_; } ///< of the last frame
  /// What is below: the log of images, the monitor, the policy's state, the network.
  manager_type& manager() noexcept { return manager_; }

private:
  struct open_parts {
    std::string device;
    std::vector<data::class_name> classes;
    data::preprocessing rule;
    runtime::dynamic_network<Backend> network;
    std::vector<runtime::level_figures> figures;
  };

  static open_parts opened(family f, const runtime::target& wanted, const classifier_options& options,
                           Backend backend) {
    validate(wanted); // before a second is spent on measuring
    std::string device = recall_or_measure_latencies(f, backend, options.cache, options.rounds);
    f.keep_front(device);
    runtime::dynamic_network<Backend> network(std::move(backend), f);
    auto figures = network.figures(device);
    return {std::move(device), f.classes(), f.preprocessing(), std::move(network), std::move(figures)};
  }

  basic_adaptive_classifier(const runtime::target& wanted, classifier_options options, open_parts parts)
      : options_{std::move(options)}
      , device_{std::move(parts.device)}
      , classes_{std::move(parts.classes)}
      , figures_{std::move(parts.figures)}
      , preprocessor_{parts.rule, options_.resize}
      , counters_{figures_.size()}
      , logits_(parts.network.classes())
      , manager_{std::move(parts.network), runtime::forecast(figures_, options_.policy), wanted, below(options_)} {}

  static runtime::manager_options below(const classifier_options& options) {
    runtime::manager_options o = options.manager;
    o.counts = options.counts;
    o.on_switch = {};
    return o;
  }

  classification answer(const runtime::image_record& r, double preparation_ms) {
    counters_.add(r, preparation_ms);
    const std::size_t best = argmax(logits_);
    if (best == logits_.size()) throw error(errc::device, text("level ", r.level), "logits", "NaN");
    double sum = 0;
    for (const float l : logits_) sum += std::exp(double(l) - double(logits_[best]));
    const classification c{best,
                           best < classes_.size() ? std::string_view(classes_[best].name) : std::string_view(),
                           static_cast<float>(1 / sum),
                           r.level,
                           r.latency_ms,
                           preparation_ms,
                           r.late(),
                           r.switched,
                           r.why};
    if (c.switched && options_.on_switch) options_.on_switch(c);
    return c;
  }

  /// A frame of a form that is new: all levels' plans for it are made now, not when a switch needs them.
  void know(const data::frame& frame) {
    const frame_form form{frame.layout(), frame.width(), frame.height()};
    if (form == known_form_) return;
    for (std::size_t i = 0; i < figures_.size(); ++i)
      preprocessor_.prepare(form.layout, form.width, form.height, resolution_of(i));
    if (options_.counts == runtime::counted_time::all) count_preparation(frame);
    known_form_ = form;
  }

  /// Where preparing counts, the policy has to know what each level's takes: a frame of 4K may cost more than the
  /// network.
  void count_preparation(const data::frame& frame) {
    std::vector<runtime::level_figures> all = figures_;
    std::vector<float> image;
    for (std::size_t i = 0; i < all.size(); ++i) {
      image.resize(image_values(resolution_of(i)));
      double least = std::numeric_limits<double>::infinity(); // what it takes undisturbed
      for (int run = 0; run < 4; ++run) {
        preprocessor_.apply(frame, resolution_of(i), image);
        least = std::min(least, preprocessor_.last_ms());
      }
      all[i].latency_ms += least;
      // A policy takes a front. A level that loses its lead to a smaller picture's preparation counts as no quicker.
      if (i > 0) all[i].latency_ms = std::max(all[i].latency_ms, all[i - 1].latency_ms * (1 + 1e-9));
    }
    manager_.replace_policy(runtime::forecast(all, options_.policy));
  }

  int resolution_of(std::size_t level) const { return static_cast<int>(manager_.network().arch_of(level).r); }

  struct frame_form {
    data::pixel_layout layout;
    int width = 0, height = 0;
    bool operator==(const frame_form&) const = default;
  };

  classifier_options options_;
  std::string device_;
  std::vector<data::class_name> classes_;
  std::vector<runtime::level_figures> figures_;
  data::frame_preprocessor preprocessor_;
  runtime::run_counters counters_;
  std::vector<float> logits_;
  manager_type manager_;
  std::optional<frame_form> known_form_;
};

} // namespace dynofa
