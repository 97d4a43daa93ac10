#pragma once
#include "dynofa/backend/session.hpp"
#include "dynofa/calibrate/measured_accuracy.hpp"
#include "dynofa/core/finite.hpp"
#include "dynofa/data/image_folder.hpp"
#include "dynofa/data/preprocess.hpp"
#include "dynofa/model/batch_norm.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace dynofa {

/// What is evaluated: an architecture with the statistics and in the number format it runs with.
struct evaluated_level {
  dynofa::arch arch;        ///< of the super-network given
  bn_statistics statistics; ///< `stored_statistics` are right for the largest architecture only
  std::string format = {};  ///< "": the backend's own
};

/// Of one level on one data set.
struct evaluation_result {
  measured_accuracy accuracy;               ///< counts of images
  std::vector<measured_accuracy> per_class; ///< by label
  int not_finite = 0; ///< images with an infinite or NaN logit: they count as wrong, whatever the others say
};

/// How images are run.
struct evaluation_options {
  int threads = 1; ///< each runs images of its own: give the backend itself one thread
  /// Images that a thread runs as one batch. On the CPU a batch reads the head's weights once: with 8, an eighth of
  /// 8 MB per image, less than the arithmetic takes; and eight rows of sums are what one tile of its kernels holds.
  int batch = 8;
  /// Told after each image; false stops with errc::cancelled.
  data::load_progress progress = {};
};

/// Top-1 and top-5 of every level over a folder of labelled images, in one pass: each picture is decoded once, and
/// preprocessed once per resolution. Of the super-network what `packed` lacks of the levels' formats is packed here.
///
/// Throws `error` if the folder has another number of classes than the network, and for pictures that cannot be read,
/// unless the folder skips them (`image_folder::skip_bad_pictures`): they do not count then. The counts do not depend
/// on the number of threads: on which others share a batch with an image, its logits do not depend.
template <inference_backend Backend>
std::vector<evaluation_result> evaluate(const Backend& backend, const supernet_ptr& net,
                                        const std::type_identity_t<packed_formats<Backend>>& packed,
                                        std::span<const evaluated_level> levels, const data::image_folder& images,
                                        const data::preprocessing& rule, const evaluation_options& options = {}) {
  const auto classes = static_cast<std::size_t>(net->space.classes);
  if (images.classes().size() != classes)
    throw error(errc::mismatch, "evaluate", text("a folder of ", classes, " classes"), text(images.classes().size()));

  if (options.batch < 1) throw error(errc::invalid_argument, "evaluate", "a batch of at least 1", text(options.batch));
  const auto batch = static_cast<std::size_t>(options.batch);
  session<Backend> shared(backend, net, packed);
  for (const evaluated_level& l : levels) shared.packed(l.format);

  struct worker {
    session<Backend> runner;
    std::vector<typename session<Backend>::level> bound;
    std::vector<std::vector<measured_accuracy>> counts; ///< [level][label]
    std::vector<int> not_finite;                        ///< [level]
    std::map<int, std::vector<float>> inputs;           ///< by resolution: [N,r,r,3]
    std::vector<int> labels;                            ///< of the images in them
    std::vector<float> logits;
  };
  const auto make_worker = [&] {
    auto w =
        std::make_unique<worker>(worker{session<Backend>(backend, net, shared.all_packed()), {}, {}, {}, {}, {}, {}});
    for (const evaluated_level& l : levels) {
      w->bound.push_back(w->runner.load(l.arch, l.statistics, options.batch, l.format));
      w->inputs[l.arch.r].resize(batch * image_values(l.arch.r));
    }
    w->counts.assign(levels.size(), std::vector<measured_accuracy>(classes));
    w->not_finite.resize(levels.size());
    w->logits.resize(batch * classes);
    return w;
  };
  // What an incomplete batch lacks is left from before, runs along and does not count.
  const auto run = [&](worker& w) {
    for (std::size_t l = 0; l < levels.size(); ++l) {
      w.runner.run(w.bound[l], w.inputs[levels[l].arch.r], w.logits);
      for (std::size_t n = 0; n < w.labels.size(); ++n) {
        const auto label = static_cast<std::size_t>(w.labels[n]);
        const std::span<const float> logits = std::span(w.logits).subspan(n * classes, classes);
        // Ties go to the lower index, as in argmax.
        std::size_t before = 0;
        for (std::size_t c = 0; c < classes; ++c)
          before += logits[c] > logits[label] || (logits[c] == logits[label] && c < label);
        const bool finite = first_not_finite(logits) == classes;
        measured_accuracy& count = w.counts[l][label];
        count.images += 1, count.correct += finite && before == 0, count.correct5 += finite && before < 5;
        w.not_finite[l] += !finite;
      }
    }
    w.labels.clear();
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
          auto made = make_worker();
          w = made.get();
          const std::lock_guard lock(mutex);
          all.push_back(std::move(made));
        }
        for (auto& [r, input] : w->inputs) {
          const std::size_t values = input.size() / batch;
          rule.apply(picture, r, std::span(input).subspan(w->labels.size() * values, values));
        }
        w->labels.push_back(label);
        if (w->labels.size() == batch) run(*w);
        const std::lock_guard lock(mutex);
        idle.push_back(w);
      },
      options.progress);
  for (const auto& w : all)
    if (!w->labels.empty()) run(*w);

  std::vector<evaluation_result> results(levels.size());
  for (std::size_t l = 0; l < levels.size(); ++l) {
    results[l].per_class.resize(classes);
    for (const auto& w : all) results[l].not_finite += w->not_finite[l];
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

} // namespace dynofa
