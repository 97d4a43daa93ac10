#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace dynofa::detail {

/// Writes one Protocol Buffers message, field by field, in the order of the calls (proto wire format: a key of field
/// number and wire type, then a varint, four bytes, or a length and bytes).
class protobuf_writer {
public:
  protobuf_writer& integer(std::uint32_t field, std::int64_t value) {
    key(field, 0);
    return varint(static_cast<std::uint64_t>(value)); // negative ones take ten bytes
  }
  protobuf_writer& real(std::uint32_t field, float value) {
    key(field, 5);
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) bytes_ += static_cast<char>(bits >> shift & 0xFF);
    return *this;
  }
  protobuf_writer& string(std::uint32_t field, std::string_view value) {
    key(field, 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  protobuf_writer& message(std::uint32_t field, const protobuf_writer& value) { return string(field, value.bytes_); }
  /// Little-endian numbers as one byte string.
  protobuf_writer& raw(std::uint32_t field, std::span<const std::byte> values) {
    return string(field, {reinterpret_cast<const char*>(values.data()), values.size()});
  }
  const std::string& bytes() const { return bytes_; }

private:
  void key(std::uint32_t field, std::uint32_t wire_type) { varint(field << 3 | wire_type); }
  protobuf_writer& varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
    return *this;
  }
  std::string bytes_;
};

} // namespace dynofa::detail
