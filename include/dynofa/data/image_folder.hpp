#pragma once
#include "dynofa/core/parallel_for.hpp"
#include "dynofa/core/random.hpp"
#include "dynofa/data/decode.hpp"
#include "dynofa/data/image.hpp"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

namespace dynofa::data {

/// A data set of labelled pictures on disk: one folder per class, its .jpg, .jpeg and .png files (any case, at any
/// depth). A value: copying it copies paths and labels, pictures are read when asked for.
///
/// Samples are in the order of their paths, folder by folder, so an index names the same picture on every machine.
class image_folder {
public:
  /// The classes are the folders of `root` in byte order (those that begin with a dot are left out); a folder without
  /// pictures keeps its label. Throws errc::io if `root` cannot be read, errc::bad_file if no picture is found.
  explicit image_folder(const std::filesystem::path& root)
      : image_folder(root, folders_of(root), "a class folder") {}

  /// With a given list of classes the label is the position in it. A class without a folder is allowed (a subset of a
  /// data set), a folder that is not in the list is an errc::mismatch that names it.
  image_folder(const std::filesystem::path& root, std::vector<std::string> classes)
      : image_folder(root, std::move(classes), "a folder named after one of the given classes") {
    auto sorted = classes_;
    std::sort(sorted.begin(), sorted.end());
    if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
      throw error(errc::invalid_argument, "image_folder", "classes that differ", text(*twice, " twice"));
  }

  std::size_t size() const { return samples_.size(); }
  const std::filesystem::path& path(std::size_t i) const { return sample_at(i).path; }
  int label(std::size_t i) const { return sample_at(i).label; }
  const std::vector<std::string>& classes() const { return classes_; }
  /// Reads and decodes picture i; errors name its path (see `read_image`).
  image load(std::size_t i, const decode_limits& limits = {}) const {
    if (!decoded_) return read_image(path(i), limits);
    if (auto known = decoded_->find(path(i).native())) return *known;
    image picture = read_image(path(i), limits);
    decoded_->keep(path(i).native(), picture);
    return picture;
  }
  /// Keeps decoded pictures from now on, at most `bytes` of them, so that a second pass decodes nothing that still
  /// fits. Copies and subsets made from here on share them.
  void keep_decoded(std::size_t bytes) { decoded_ = std::make_shared<cache>(bytes); }

  /// `n` samples drawn at random, in the order drawn: without replacement a prefix of one shuffle of the whole (so a
  /// smaller subset of the same seed is a prefix of a larger one, and n = size() shuffles), with replacement n
  /// independent draws. Throws errc::invalid_argument if n is 0 or more than there are.
  image_folder subset(std::size_t n, std::uint64_t seed, bool replacement = false) const {
    if (n == 0 || (!replacement && n > size()))
      throw error(errc::invalid_argument, "image_folder", text("a subset of 1 to ", size(), " images"), text(n));
    random_stream random(seed, "image_folder.subset");
    image_folder drawn = *this;
    if (replacement) {
      drawn.samples_.clear();
      for (std::size_t i = 0; i < n; ++i)
        drawn.samples_.push_back(samples_[random.below(static_cast<std::uint32_t>(size()))]);
    } else {
      for (std::size_t i = 0; i < n; ++i)
        std::swap(drawn.samples_[i], drawn.samples_[i + random.below(static_cast<std::uint32_t>(size() - i))]);
      drawn.samples_.resize(n);
    }
    return drawn;
  }

private:
  struct sample {
    std::filesystem::path path;
    int label;
  };

  /// Decoded pictures by path; the first ones to come stay.
  class cache {
  public:
    explicit cache(std::size_t bytes)
        : room_{bytes} {}
    std::shared_ptr<const image> find(const std::string& path) const {
      const std::lock_guard lock(mutex_);
      const auto found = pictures_.find(path);
      return found == pictures_.end() ? nullptr : found->second;
    }
    void keep(const std::string& path, const image& picture) {
      const std::lock_guard lock(mutex_);
      const std::size_t size = picture.pixels.size();
      if (size > room_ || pictures_.contains(path)) return;
      pictures_.emplace(path, std::make_shared<const image>(picture));
      room_ -= size;
    }

  private:
    mutable std::mutex mutex_;
    std::size_t room_;
    std::unordered_map<std::string, std::shared_ptr<const image>> pictures_;
  };

  image_folder(const std::filesystem::path& root, std::vector<std::string> classes, const char* expected)
      : classes_{std::move(classes)} {
    for (const std::string& folder : folders_of(root)) {
      const auto found = std::find(classes_.begin(), classes_.end(), folder);
      if (found == classes_.end()) throw error(errc::mismatch, (root / folder).string(), expected, "another name");
      add_pictures(root / folder, static_cast<int>(found - classes_.begin()));
    }
    if (samples_.empty())
      throw error(errc::bad_file, root.string(), "class folders with .jpg, .jpeg or .png files", "none");
    std::sort(samples_.begin(), samples_.end(), [](const sample& a, const sample& b) { return a.path < b.path; });
  }

  /// `visit(path, whether it is a folder)` for what is in `folder`; an `Iterator` of the standard library walks.
  template <class Iterator, class Visit>
  static void for_each_entry(const std::filesystem::path& folder, Visit visit) {
    std::error_code fault;
    for (Iterator entry(folder, fault); !fault && entry != Iterator(); entry.increment(fault)) {
      std::error_code ignored; // of a dangling link: not a folder
      visit(entry->path(), entry->is_directory(ignored));
    }
    if (fault) throw error(errc::io, folder.string(), "a folder that can be read", fault.message());
  }

  static std::vector<std::string> folders_of(const std::filesystem::path& root) {
    std::vector<std::string> names;
    for_each_entry<std::filesystem::directory_iterator>(root, [&](const auto& path, bool is_folder) {
      if (is_folder && !path.filename().string().starts_with('.')) names.push_back(path.filename().string());
    });
    std::sort(names.begin(), names.end());
    return names;
  }

  void add_pictures(const std::filesystem::path& folder, int label) {
    for_each_entry<std::filesystem::recursive_directory_iterator>(folder, [&](const auto& path, bool is_folder) {
      std::string ending = path.extension().string();
      for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      if ((ending == ".jpg" || ending == ".jpeg" || ending == ".png") && !is_folder) samples_.push_back({path, label});
    });
  }

  const sample& sample_at(std::size_t i) const {
    if (i >= samples_.size())
      throw error(errc::invalid_argument, "image_folder", text("an index below ", samples_.size()), text(i));
    return samples_[i];
  }

  std::vector<std::string> classes_;
  std::vector<sample> samples_;
  std::shared_ptr<cache> decoded_; ///< if pictures are kept
};

/// Called with the number of pictures done and the number there are; answers whether to go on.
using load_progress = std::function<bool(std::size_t done, std::size_t total)>;

/// Decodes every picture of `dataset` on `threads` threads (the caller's is one of them) and hands each to
/// `use(index, label, picture)`, in no particular order and, with more than one thread, from several at once.
/// `progress` is called after each picture, from one thread at a time; false stops with errc::cancelled.
///
/// When pictures fail, or `use` throws, the fault with the lowest index is thrown once every thread has stopped, so a
/// broken data set gives the same sentence every time.
template <class Use>
void for_each_image(const image_folder& dataset, int threads, Use&& use, const load_progress& progress = {}) {
  std::mutex mutex; // for progress
  std::size_t done = 0;
  parallel_for(dataset.size(), threads, [&](std::size_t i) {
    const image picture = dataset.load(i);
    use(i, dataset.label(i), picture);
    const std::lock_guard lock(mutex);
    if (progress && !progress(++done, dataset.size()))
      throw error(errc::cancelled, "for_each_image", "to load every image", text("a stop after ", done));
  });
}

} // namespace dynofa::data
