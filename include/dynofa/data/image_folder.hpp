#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/core/parallel_for.hpp"
#include "dynofa/core/random.hpp"
#include "dynofa/data/decode.hpp"
#include "dynofa/data/image.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

namespace dynofa::data {

/// What lies in an `image_folder` and is not used.
struct left_out_files {
  std::map<std::string, std::size_t> kinds; ///< files by ending, in lower case: ".webp"; "" for those that have none
  std::size_t outside = 0;                  ///< files beside the class folders
  std::size_t hidden = 0;                   ///< files and folders whose name begins with a dot, such as `._1.jpg`
  std::size_t repeated = 0;                 ///< folders that their class has already, by links: a circle ends here

  /// "2 .webp, 1 .bmp, 3 hidden"; empty if nothing is left out.
  std::string to_string() const {
    std::string list;
    const auto add = [&](std::size_t count, std::string_view what) {
      if (count > 0) list += text(list.empty() ? "" : ", ", count, ' ', what);
    };
    constexpr std::size_t most_named = 10;
    std::size_t named = 0, others = 0;
    for (const auto& [ending, count] : kinds)
      if (++named <= most_named)
        add(count, ending.empty() ? "without an ending" : ending);
      else
        others += count;
    add(others, "of other kinds");
    add(outside, "in no class folder");
    add(hidden, "hidden");
    add(repeated, "folders linked twice");
    return list;
  }
};

/// A data set of labelled pictures on disk: one folder per class, its .jpg, .jpeg and .png files (any case, at any
/// depth). Links are followed, to each folder once per class; what begins with a dot is left out, as `left_out` tells.
/// A value: copying it copies paths and labels, pictures are read when asked for.
///
/// Samples are in the order of their paths, folder by folder, so an index names the same picture on every machine.
class image_folder {
public:
  /// The classes are the folders of `root` in byte order; a folder without pictures keeps its label. Throws errc::io
  /// if a folder cannot be read, errc::bad_file if no picture is found.
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

  std::size_t size() const { return samples_.size(); } ///< pictures, all classes together
  ///@{
  /// Throws errc::invalid_argument unless i < size().
  const std::filesystem::path& path(std::size_t i) const { return sample_at(i).path; }
  int label(std::size_t i) const { return sample_at(i).label; }
  ///@}
  const std::vector<std::string>& classes() const { return classes_; } ///< by label
  /// What was found and is not used.
  const left_out_files& left_out() const { return left_out_; }
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

  /// From now on a picture that cannot be read no longer ends what goes through the pictures (`for_each_image`,
  /// `evaluate`, `decoded_source`): it is skipped, and `bad_pictures` names it. Copies and subsets made from here on
  /// share the list.
  void skip_bad_pictures() { bad_ = std::make_shared<bad_list>(); }
  /// For people: "12 images of 4 classes; left out: 2 .webp, 3 hidden; skipped 1: n01/2.jpg: expected …".
  std::string to_string() const {
    std::string line = text(size(), " images of ", classes_.size(), " classes");
    if (const std::string others = left_out_.to_string(); !others.empty()) line += "; left out: " + others;
    if (const auto bad = bad_pictures(); !bad.empty()) line += text("; skipped ", bad.size(), ": ", bad.front());
    return line;
  }
  /// A sentence for each picture that was skipped, in the order of their paths.
  std::vector<std::string> bad_pictures() const {
    std::vector<std::string> sentences;
    if (!bad_) return sentences;
    const std::lock_guard lock(bad_->mutex);
    for (const auto& [path, sentence] : bad_->sentences) sentences.push_back(sentence);
    return sentences;
  }
  /// `load`, or nothing for a picture that is skipped.
  std::optional<image> try_load(std::size_t i, const decode_limits& limits = {}) const {
    try {
      return load(i, limits);
    } catch (const error& fault) {
      if (!bad_ || i >= size()) throw;
      const std::lock_guard lock(bad_->mutex);
      bad_->sentences.emplace(path(i), fault.what());
      return std::nullopt;
    }
  }

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

  struct bad_list {
    std::mutex mutex;
    std::map<std::filesystem::path, std::string> sentences;
  };

  image_folder(const std::filesystem::path& root, std::vector<std::string> classes, const char* expected)
      : classes_{std::move(classes)} {
    for (const std::string& folder : folders_of(root, &left_out_)) {
      const auto found = std::find(classes_.begin(), classes_.end(), folder);
      if (found == classes_.end()) throw error(errc::mismatch, (root / folder).string(), expected, "another name");
      seen_folders seen{identity_of(root)};
      add_pictures(root / folder, static_cast<int>(found - classes_.begin()), seen);
    }
    if (samples_.empty()) {
      const std::string others = left_out_.to_string();
      throw error(errc::bad_file, root.string(), "class folders with .jpg, .jpeg or .png files",
                  others.empty() ? "none" : "none, but " + others);
    }
    std::sort(samples_.begin(), samples_.end(), [](const sample& a, const sample& b) { return a.path < b.path; });
  }

  /// Device and inode: the same for every path that leads to a folder.
  using seen_folders = std::set<std::pair<std::uint64_t, std::uint64_t>>;
  static seen_folders::value_type identity_of(const std::filesystem::path& folder) {
    struct stat status {};
    if (::stat(folder.c_str(), &status) != 0)
      throw error(errc::io, folder.string(), "a folder that can be read", dynofa::detail::errno_text());
    return {status.st_dev, status.st_ino};
  }

  /// `visit(path, whether it is a folder)` for what is in `folder` and not hidden, in the order of the names; the
  /// number of hidden ones.
  template <class Visit>
  static std::size_t for_each_entry(const std::filesystem::path& folder, Visit visit) {
    using iterator = std::filesystem::directory_iterator;
    std::error_code fault;
    std::size_t hidden = 0;
    std::vector<std::pair<std::filesystem::path, bool>> found;
    for (iterator entry(folder, fault); !fault && entry != iterator(); entry.increment(fault)) {
      std::error_code ignored; // of a dangling link: not a folder
      if (entry->path().filename().native().starts_with('.'))
        ++hidden;
      else
        found.emplace_back(entry->path(), entry->is_directory(ignored));
    }
    if (fault) throw error(errc::io, folder.string(), "a folder that can be read", fault.message());
    std::sort(found.begin(), found.end());
    for (const auto& [path, is_folder] : found) visit(path, is_folder);
    return hidden;
  }

  static std::vector<std::string> folders_of(const std::filesystem::path& root, left_out_files* others = nullptr) {
    std::vector<std::string> names;
    left_out_files beside;
    beside.hidden = for_each_entry(root, [&](const auto& path, bool is_folder) {
      if (is_folder)
        names.push_back(path.filename().string());
      else
        ++beside.outside;
    });
    if (others != nullptr) *others = beside;
    return names;
  }

  void add_pictures(const std::filesystem::path& folder, int label, seen_folders& seen) {
    if (!seen.insert(identity_of(folder)).second) return void(++left_out_.repeated);
    left_out_.hidden += for_each_entry(folder, [&](const auto& path, bool is_folder) {
      if (is_folder) return add_pictures(path, label, seen);
      std::string ending = path.extension().string();
      for (char& c : ending)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a'); // whatever the locale
      if (ending == ".jpg" || ending == ".jpeg" || ending == ".png")
        samples_.push_back({path, label});
      else
        ++left_out_.kinds[ending];
    });
  }

  const sample& sample_at(std::size_t i) const {
    if (i >= samples_.size())
      throw error(errc::invalid_argument, "image_folder", text("an index below ", samples_.size()), text(i));
    return samples_[i];
  }

  std::vector<std::string> classes_;
  std::vector<sample> samples_;
  left_out_files left_out_;
  std::shared_ptr<cache> decoded_; ///< if pictures are kept
  std::shared_ptr<bad_list> bad_;  ///< if bad ones are skipped
};

/// Called with the number of pictures done and the number there are; answers whether to go on.
using load_progress = std::function<bool(std::size_t done, std::size_t total)>;

/// Decodes every picture of `dataset` on `threads` threads (the caller's is one of them) and hands each to
/// `use(index, label, picture)`, in no particular order and, with more than one thread, from several at once.
/// `progress` is called after each picture, from one thread at a time; false stops with errc::cancelled.
///
/// When pictures fail, or `use` throws, the fault with the lowest index is thrown once every thread has stopped, so a
/// broken data set gives the same sentence every time. Where bad pictures are skipped (`skip_bad_pictures`) `use` does
/// not see them; throws errc::bad_file if none is good.
template <class Use>
void for_each_image(const image_folder& dataset, int threads, Use&& use, const load_progress& progress = {}) {
  std::mutex mutex; // for progress
  std::size_t done = 0, good = 0;
  parallel_for(dataset.size(), threads, [&](std::size_t i) {
    const std::optional<image> picture = dataset.try_load(i);
    if (picture) use(i, dataset.label(i), *picture);
    const std::lock_guard lock(mutex);
    good += picture.has_value();
    if (progress && !progress(++done, dataset.size()))
      throw error(errc::cancelled, "for_each_image", "to load every image", text("a stop after ", done));
  });
  if (good == 0 && dataset.size() > 0)
    throw error(errc::bad_file, "for_each_image", "a picture that can be read",
                text(dataset.size(), " that cannot: ", dataset.bad_pictures().front()));
}

} // namespace dynofa::data
