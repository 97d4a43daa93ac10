#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/file.hpp"
#include "dynofa/model/pickle.hpp"
#include "dynofa/model/tensor.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dynofa {

/// The named tensors of a torch checkpoint: the dict under 'state_dict', or the top-level dict itself.
///
/// The views stay in the document. Other top-level entries are ignored. Throws errc::bad_file for no dict, no tensor, a
/// name given twice or, inside 'state_dict', a value that is no tensor.
inline std::vector<std::pair<std::string_view, const pickle::tensor_ref*>>
named_tensors(const pickle::document& document, std::string_view where) {
  using pickle::kind;
  const auto bad = [&](std::string expected, std::string got) {
    return error(errc::bad_file, where, std::move(expected), std::move(got));
  };
  const auto& top = document.top();
  if (top.kind != kind::dict) throw bad("a dict of tensors", std::string(name_of(top.kind)));
  const auto* inner = document.find(top, "state_dict");
  if (inner && inner->kind != kind::dict) throw bad("a dict as 'state_dict'", std::string(name_of(inner->kind)));
  const auto& dict = inner ? *inner : top;

  std::vector<std::pair<std::string_view, const pickle::tensor_ref*>> result;
  for (std::size_t i = 0; i < dict.items.size(); i += 2) {
    const auto &key = document[dict.items[i]], &item = document[dict.items[i + 1]];
    if (key.kind == kind::string && item.kind == kind::tensor)
      result.emplace_back(key.text, &document.tensors[static_cast<std::size_t>(item.integer)]);
    else if (inner)
      throw bad("a name and a tensor for each entry of 'state_dict'",
                text(key.kind == kind::string ? printable(key.text) : std::string(name_of(key.kind)), " with ",
                     name_of(item.kind)));
  }
  if (result.empty()) throw bad("tensors", text("none among ", dict.items.size() / 2, " entries"));
  return result;
}

/// Makes tensors of torch's views: dense ones point into their storage, strided ones are copied into dense order.
class torch_view_reader {
public:
  /// `copy_budget`: bytes that all strided views together may take, so that a small file that names one storage a
  /// million times cannot ask for a million copies.
  torch_view_reader(std::string_view where, std::uint64_t copy_budget)
      : where_{where}
      , budget_{copy_budget} {}

  /// `storage` holds exactly the storage's bytes. Throws errc::bad_file for a view that leaves its storage,
  /// errc::unsupported for one that repeats elements (torch's expand).
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
    if (*size > numel * step)
      throw fault(errc::unsupported, "each element once", text(to_string(view.shape), " from a storage of ", numel));
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
