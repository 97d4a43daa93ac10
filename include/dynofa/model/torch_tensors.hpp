#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/file.hpp"
#include "dynofa/model/pickle.hpp"
#include "dynofa/model/tensor.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace dynofa {

/// Which tensors of a checkpoint were read, and what was passed over: for whoever loads it to tell.
struct reading_notes {
  std::string weights;               ///< where they stand: "state_dict", "model.state_dict"; empty for the top level
  std::vector<std::string> others;   ///< other sets of weights, by such names
  std::vector<std::string> left_out; ///< what is no tensor of theirs: "best_acc (an object of numpy.….scalar)"
};

/// The named tensors of a torch checkpoint. The views stay in the document.
struct weight_set {
  /// Names without what wraps them all, in the file's order.
  std::vector<std::pair<std::string_view, const pickle::tensor_ref*>> tensors;
  reading_notes notes; ///< for the user
};

namespace detail {

/// Looks for dicts of tensors at the top level and up to two levels below it.
class weight_sets {
public:
  weight_sets(const pickle::document& document, std::string_view where)
      : document_{document}
      , where_{where} {
    const auto& top = document.top();
    if (top.kind != pickle::kind::dict)
      throw bad("a dict of tensors",
                document.describe(top) + (top.kind == pickle::kind::object ? " (save its state_dict() instead)" : ""));
    look_into(top, "", 2);
    // A random generator's state is a tensor too: beside a set with weights or biases one without is none.
    if (std::any_of(sets_.begin(), sets_.end(), [](const set& s) { return s.has_weights; }))
      std::erase_if(sets_, [](const set& s) { return !s.has_weights; });
    std::stable_sort(sets_.begin(), sets_.end(),
                     [](const set& a, const set& b) { return rank(a.name) < rank(b.name); });
  }

  /// The set of this name; for "" the first one.
  weight_set take(std::string_view name) const {
    const auto chosen =
        std::find_if(sets_.begin(), sets_.end(), [&](const set& s) { return name.empty() || s.name == name; });
    weight_set result;
    if (chosen == sets_.end()) {
      note_left_out(document_.top(), false, result.notes);
      std::string known;
      for (const set& s : sets_) known += (known.empty() ? "" : ", ") + shown_name(s.name);
      if (!name.empty() && !sets_.empty()) throw bad(text("one of the sets of weights ", known), printable(name));
      throw bad("tensors", text("none among ", document_.top().items.size() / 2, " entries",
                                result.notes.left_out.empty() ? "" : ", of which one is ",
                                result.notes.left_out.empty() ? "" : result.notes.left_out.front()));
    }
    result.notes.weights = chosen->name;
    for (const set& s : sets_)
      if (&s != &*chosen) result.notes.others.push_back(shown_name(s.name));
    if (chosen->outermost) note_left_out(document_.top(), false, result.notes);
    note_left_out(*chosen->dict, true, result.notes);
    for (std::size_t i = 0; i < chosen->dict->items.size(); i += 2)
      add(document_[chosen->dict->items[i]], document_[chosen->dict->items[i + 1]], result);
    return result;
  }

private:
  struct set {
    std::string name;
    const pickle::value *dict, *outermost; ///< outermost: the entry of the top level that it lies in
    bool has_weights;
  };
  const pickle::document& document_;
  std::string_view where_;
  std::vector<set> sets_;
  std::unordered_set<const pickle::value*> seen_;

  error bad(std::string expected, std::string got) const {
    return {errc::bad_file, where_, std::move(expected), std::move(got)};
  }
  static std::string shown_name(const std::string& name) { return name.empty() ? "the top level" : name; }

  void look_into(const pickle::value& dict, const std::string& name, int levels,
                 const pickle::value* outermost = nullptr) {
    using pickle::kind;
    constexpr std::size_t most_sets = 64, longest_name = 64;
    if (!seen_.insert(&dict).second) return; // a dict may stand in many places, even in itself
    bool has_tensors = false, has_weights = false;
    for (std::size_t i = 0; i < dict.items.size(); i += 2) {
      const auto &key = document_[dict.items[i]], &item = document_[dict.items[i + 1]];
      if (key.kind != kind::string || item.kind != kind::tensor) continue;
      has_tensors = true;
      has_weights = has_weights || key.text.ends_with(".weight") || key.text.ends_with(".bias");
    }
    if (has_tensors && sets_.size() < most_sets) sets_.push_back({name, &dict, outermost, has_weights});
    if (levels == 0 || (has_weights && outermost)) return;
    for (std::size_t i = 0; i < dict.items.size() && sets_.size() < most_sets; i += 2) {
      const auto &key = document_[dict.items[i]], &item = document_[dict.items[i + 1]];
      if (key.kind != kind::string || item.kind != kind::dict || key.text.size() > longest_name) continue;
      const std::string shown = printable(key.text);
      look_into(item, text(name, name.empty() ? "" : ".", shown.substr(1, shown.size() - 2)), levels - 1,
                outermost ? outermost : &item);
    }
  }

  /// The usual names first, averages of the training's weights last.
  static int rank(std::string_view name) {
    constexpr std::string_view usual[] = {"state_dict", "model_state_dict", "model.state_dict", "model", "net", ""};
    const auto found = std::find(std::begin(usual), std::end(usual), name);
    if (found != std::end(usual)) return static_cast<int>(found - std::begin(usual));
    for (const std::string_view average : {"ema", "avg", "average", "swa", "shadow"})
      if (name.find(average) != name.npos) return 100;
    return 50;
  }

  bool is_set(const pickle::value& v) const {
    return std::any_of(sets_.begin(), sets_.end(), [&](const set& s) { return s.dict == &v || s.outermost == &v; });
  }
  /// Notes what of a dict is in no set of weights: tensors too, unless they are what is `taken`.
  void note_left_out(const pickle::value& dict, bool taken, reading_notes& notes) const {
    using pickle::kind;
    constexpr std::size_t most_notes = 64; // a hostile file has millions of entries
    for (std::size_t i = 0; i < dict.items.size() && notes.left_out.size() < most_notes; i += 2) {
      const auto &key = document_[dict.items[i]], &item = document_[dict.items[i + 1]];
      if (taken && key.kind == kind::string && item.kind == kind::tensor) continue;
      if (is_set(item)) continue;
      const std::string name = key.kind == kind::string ? printable(key.text) : text('"', name_of(key.kind), '"');
      notes.left_out.push_back(text(name.substr(1, name.size() - 2), " (", document_.describe(item), ')'));
    }
  }

  /// An object where a network has a tensor is refused, not left out: it would be missed under a name that is there.
  void add(const pickle::value& key, const pickle::value& item, weight_set& to) const {
    using pickle::kind;
    if (key.kind != kind::string) return;
    if (item.kind == kind::tensor)
      to.tensors.emplace_back(key.text, &document_.tensors[static_cast<std::size_t>(item.integer)]);
    else if (item.kind == kind::object && key.text.find('.') != key.text.npos && !key.text.ends_with("._extra_state"))
      throw error(errc::unsupported, text(where_, ", entry ", printable(key.text)), "a tensor",
                  document_.describe(item) + "; nothing was executed");
  }
};

} // namespace detail

/// Finds the weights of a torch checkpoint: a dict of names and tensors, which may be the top level or lie under names
/// such as 'state_dict', 'model', 'state_dict_ema' in it. Where there are several, `weights` names the one to take; ""
/// takes that of the usual name, an average of weights last, and the notes say so.
///
/// Throws errc::bad_file for no dict, no tensor or no set of that name, errc::unsupported for an object in place of a
/// tensor.
inline weight_set find_weights(const pickle::document& document, std::string_view where,
                               std::string_view weights = "") {
  return detail::weight_sets(document, where).take(weights);
}

/// What copies of strided and expanded views may take: in proportion to the file, and a little for small ones.
constexpr std::uint64_t copy_budget_of(std::uint64_t file_bytes) { return 4 * file_bytes + (1u << 20); }

/// Makes tensors of torch's views: dense ones point into their storage, strided ones are copied into dense order.
class torch_view_reader {
public:
  /// `copy_budget`: bytes that all strided and expanded views together may take, so that a small file that names one
  /// storage a million times cannot ask for a million copies.
  torch_view_reader(std::string_view where, std::uint64_t copy_budget)
      : where_{where}
      , budget_{copy_budget} {}

  /// `storage` holds exactly the storage's bytes. A view may repeat elements (torch's expand: stride 0). Throws
  /// errc::bad_file for one that leaves its storage.
  tensor read(std::string_view name, const pickle::tensor_ref& view, const file_bytes& storage) {
    const auto fault = [&](errc code, std::string expected, std::string got) {
      return error(code, text(where_, ", tensor ", printable(name)), std::move(expected), std::move(got));
    };
    const auto size = byte_count(view.shape, view.storage.type);
    const auto step = size_of(view.storage.type);
    const auto numel = static_cast<std::uint64_t>(view.storage.numel); // its bytes exist, so products with step fit
    const auto offset = static_cast<std::uint64_t>(view.offset);
    if (!size) throw fault(errc::bad_file, "a size that fits 64 bits", to_string(view.shape));
    if (*size == 0) return {view.storage.type, view.shape, {}, nullptr};

    std::uint64_t last = offset; // element; every extent is at least 1 here
    bool fits = true;
    for (std::size_t i = 0; i < view.shape.size(); ++i) {
      std::uint64_t reach = 0;
      fits = fits &&
             !__builtin_mul_overflow(static_cast<std::uint64_t>(view.shape[i] - 1),
                                     static_cast<std::uint64_t>(view.strides[i]), &reach) &&
             !__builtin_add_overflow(last, reach, &last);
    }
    if (!fits || last >= numel)
      throw fault(errc::bad_file, text("elements within a storage of ", numel),
                  fits ? text("element ", last) : "one beyond 64 bits");

    if (is_dense(view))
      return {view.storage.type, view.shape, storage.bytes.subspan(offset * step, *size), storage.owner};
    if (*size > budget_)
      throw fault(errc::bad_file, "strided tensors in proportion to the file", text(*size, " more bytes of them"));
    budget_ -= *size;
    auto dense = std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(*size));
    gather(view, storage.bytes, *dense);
    tensor t{view.storage.type, view.shape, *dense, nullptr};
    t.owner = std::move(dense);
    return t;
  }

private:
  static bool is_dense(const pickle::tensor_ref& view) {
    std::int64_t expected = 1;
    for (std::size_t i = view.shape.size(); i-- > 0;) {
      if (view.shape[i] != 1 && view.strides[i] != expected) return false; // the stride of an extent 1 means nothing
      expected *= view.shape[i];
    }
    return true;
  }

  static void gather(const pickle::tensor_ref& view, std::span<const std::byte> storage, std::span<std::byte> dense) {
    const auto step = size_of(view.storage.type);
    shape_type index(view.shape.size());
    auto element = static_cast<std::size_t>(view.offset);
    for (std::size_t out = 0; out < dense.size(); out += step) {
      std::memcpy(&dense[out], &storage[element * step], step);
      for (std::size_t i = view.shape.size(); i-- > 0;) { // counts up like an odometer, the last index quickest
        element += static_cast<std::size_t>(view.strides[i]);
        if (++index[i] < view.shape[i]) break;
        element -= static_cast<std::size_t>(view.strides[i]) * static_cast<std::size_t>(view.shape[i]);
        index[i] = 0;
      }
    }
  }

  std::string_view where_;
  std::uint64_t budget_;
};

} // namespace dynofa
