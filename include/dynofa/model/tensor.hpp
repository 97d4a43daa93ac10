#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/half.hpp"
#include "dynofa/core/inline_vector.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dynofa {

static_assert(std::endian::native == std::endian::little, "tensors hold the little-endian bytes of their files");

/// Element types a checkpoint may hold.
enum class dtype : std::uint8_t {
  f64,     ///< IEEE 754, 8 bytes
  f32,     ///< IEEE 754, 4 bytes
  f16,     ///< IEEE 754, 2 bytes
  bf16,    ///< the upper half of an f32
  i64,     ///< signed, 8 bytes
  i32,     ///< signed, 4 bytes
  i16,     ///< signed, 2 bytes
  i8,      ///< signed, 1 byte
  u8,      ///< unsigned, 1 byte
  boolean, ///< 1 byte, 0 or 1
};

/// How many bytes an element takes.
constexpr std::size_t size_of(dtype type) {
  switch (type) {
  case dtype::f64:
  case dtype::i64: return 8;
  case dtype::f32:
  case dtype::i32: return 4;
  case dtype::f16:
  case dtype::bf16:
  case dtype::i16: return 2;
  default: return 1;
  }
}

/// The name safetensors gives a type ("F32", "BF16", …).
constexpr std::string_view name_of(dtype type) {
  constexpr std::string_view names[] = {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"};
  return names[static_cast<std::size_t>(type)];
}

/// Extents, outermost first; at most 8 of them. `{}` is a scalar.
using shape_type = inline_vector<std::int64_t, 8>;

/// "[144, 1, 7, 7]"
inline std::string to_string(const shape_type& shape) {
  std::string s = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) s += (i ? ", " : "") + std::to_string(shape[i]);
  return s + "]";
}

/// The indices of element `i` of a dense tensor, "[7, 0, 2, 2]".
inline std::string to_string(const shape_type& shape, std::size_t i) {
  shape_type index = shape;
  for (std::size_t axis = shape.size(); axis-- > 0; i /= static_cast<std::size_t>(shape[axis]))
    index[axis] = static_cast<std::int64_t>(i % static_cast<std::size_t>(shape[axis]));
  return to_string(index);
}

/// The product of the extents, for shapes that are known to be sound.
constexpr std::int64_t value_count(const shape_type& shape) {
  std::int64_t n = 1;
  for (auto extent : shape) n *= extent;
  return n;
}

/// Bytes of a dense tensor; nothing if an extent is negative or the product does not fit (files are hostile).
inline std::optional<std::uint64_t> byte_count(const shape_type& shape, dtype type) {
  std::uint64_t n = size_of(type);
  for (auto extent : shape)
    if (extent < 0 || __builtin_mul_overflow(n, static_cast<std::uint64_t>(extent), &n)) return std::nullopt;
  return n;
}

/// One tensor of a file: dense, row-major, little-endian bytes that a shared owner (a read buffer or a mapped file)
/// keeps alive. Copying copies the handle, never the data.
struct tensor {
  dtype type = dtype::f32;           ///< of the elements
  shape_type shape;                  ///< empty for a scalar
  std::span<const std::byte> bytes;  ///< product of the shape times the element's size
  std::shared_ptr<const void> owner; ///< of what `bytes` points to

  std::int64_t size() const { return value_count(shape); } ///< elements

  /// The values as float; f64 is rounded, f16 and bf16 are widened exactly. Throws for integer types.
  std::vector<float> to_floats() const {
    std::vector<float> values(static_cast<std::size_t>(size()));
    if (values.empty()) return values;
    auto read = [&]<class T>(T, auto convert) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        T item;
        std::memcpy(&item, bytes.data() + i * sizeof(T), sizeof(T)); // bytes may be unaligned in a mapped file
        values[i] = convert(item);
      }
    };
    switch (type) {
    case dtype::f32: std::memcpy(values.data(), bytes.data(), bytes.size()); break;
    case dtype::f64: read(double{}, [](double v) { return static_cast<float>(v); }); break;
    case dtype::f16: read(std::uint16_t{}, half_to_float); break;
    case dtype::bf16: read(std::uint16_t{}, bfloat16_to_float); break;
    default: throw error(errc::unsupported, "tensor", "a floating-point type", std::string(name_of(type)));
    }
    return values;
  }

  /// A tensor that owns a copy of `values` (f32, f64, int64 … by T).
  template <class T>
  static tensor of(std::span<const T> values, shape_type shape, dtype type) {
    auto owner = std::make_shared<std::vector<std::byte>>(values.size_bytes());
    if (!values.empty()) std::memcpy(owner->data(), values.data(), values.size_bytes());
    tensor t{type, shape, *owner, nullptr};
    t.owner = std::move(owner);
    return t;
  }
  /// Copies the values; `shape` has to hold as many.
  static tensor of_floats(std::span<const float> values, shape_type shape) { return of(values, shape, dtype::f32); }
};

/// Tensors by name, ordered by name.
using state_dict = std::map<std::string, tensor, std::less<>>;

} // namespace dynofa
