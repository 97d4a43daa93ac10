#pragma once
#include "dynofa/backend/engine.hpp"
#include "dynofa/calibrate/measured_accuracy.hpp"
#include "dynofa/data/image_folder.hpp"
#include "dynofa/data/preprocess.hpp"
#include "dynofa/model/batch_norm.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace dynofa {

/// What is evaluated: an architecture with the statistics it runs with.
struct evaluated_level {
  dynofa::arch arch;
  bn_statistics statistics;
};

/// Of one level on one data set.
struct evaluation_result {
  measured_accuracy accuracy;
  std::vector<measured_accuracy> per_class; ///< by label
};

struct evaluation_options {
  int threads = 1; ///< each runs whole images: give the backend itself one thread
  /// Told after each image; false stops with errc::cancelled.
  data::load_progress progress = {};
};

/// Top-1 and top-5 of every level over a folder of labelled images, in one pass: each picture is decoded once, and
/// preprocessed once per resolution.
///
/// Throws `error` if the folder has another number of classes than the network, and for pictures that cannot be read.
/// The counts do not depend on the number of threads.
template <class Backend>
std::vector<evaluation_result> evaluate(const Backend& backend, const supernet_ptr& net,
                                        const std::shared_ptr<const typename Backend::packed>& packed,
                                        std::span<const evaluated_level> levels, const data::image_folder& images,
                                        const data::preprocessing& rule, const evaluation_options& options = {}) {
  const auto classes = static_cast<std::size_t>(net->space.classes);
  if (images.classes().size() != classes)
    throw error(errc::mismatch, "evaluate", text("a folder of ", classes, " classes"), text(images.classes().size()));

  struct worker {
    engine<Backend> runner;
    std::vector<typename Backend::bound> bound;
    std::vector<std::vector<measured_accuracy>> counts; ///< [level][label]
    std::map<int, std::vector<float>> inputs;           ///< by resolution
    std::vector<float> logits;
  };
  const auto hire = [&] {
    auto w = std::make_unique<worker>(worker{engine<Backend>(backend, net, packed), {}, {}, {}, {}});
    for (const evaluated_level& l : levels) {
      w->bound.push_back(w->runner.load(l.arch, l.statistics));
      w->inputs[l.arch.r].resize(std::size_t(l.arch.r) * l.arch.r * 3);
    }
    w->counts.assign(levels.size(), std::vector<measured_accuracy>(classes));
    w->logits.resize(classes);
    return w;
  };

  std::mutex mutex;
  std::vector<std::unique_ptr<worker>> all;
  std::vector<worker*> idle;
  data::for_each_image(
      images, options.threads,
      [&](std::size_t, int label, const data::image& picture) {
        worker* w = nullptr;
        {
          const std::lock_guard lock(mutex);
          if (!idle.empty()) w = idle.back(), idle.pop_back();
        }
        if (w == nullptr) {
          auto hired = hire();
          w = hired.get();
          const std::lock_guard lock(mutex);
          all.push_back(std::move(hired));
        }
        for (auto& [r, input] : w->inputs) rule.apply(picture, r, input);
        for (std::size_t l = 0; l < levels.size(); ++l) {
          w->runner.run(w->bound[l], w->inputs[levels[l].arch.r], w->logits);
          const float own = w->logits[static_cast<std::size_t>(label)];
          // Ties go to the lower index, as in argmax.
          std::size_t before = 0;
          for (std::size_t c = 0; c < classes; ++c)
            before += w->logits[c] > own || (w->logits[c] == own && c < static_cast<std::size_t>(label));
          measured_accuracy& count = w->counts[l][static_cast<std::size_t>(label)];
          count.images += 1, count.correct += before == 0, count.correct5 += before < 5;
        }
        const std::lock_guard lock(mutex);
        idle.push_back(w);
      },
      options.progress);

  std::vector<evaluation_result> results(levels.size());
  for (std::size_t l = 0; l < levels.size(); ++l) {
    results[l].per_class.resize(classes);
    for (const auto& w : all)
      for (std::size_t c = 0; c < classes; ++c)
        for (measured_accuracy* to : {&results[l].per_class[c], &results[l].accuracy}) {
          to->images += w->counts[l][c].images;
          to->correct += w->counts[l][c].correct;
          to->correct5 += w->counts[l][c].correct5;
        }
  }
  return results;
}

/// "class,images,top1,top5" and a line per class.
inline void write_per_class(std::ostream& out, const evaluation_result& result, std::span<const std::string> classes) {
  out << "class,images,top1,top5\n";
  for (std::size_t c = 0; c < result.per_class.size(); ++c) {
    const measured_accuracy& a = result.per_class[c];
    out << classes[c] << ',' << a.images << ',' << a.top1() << ',' << a.top5() << '\n';
  }
}

} // namespace dynofa
