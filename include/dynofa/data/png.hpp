#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/data/codec.hpp"
#include "dynofa/data/image.hpp"

#include <png.h>

#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace dynofa::data {

namespace detail {

struct png_reader {
  std::jmp_buf jump;
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::span<const std::byte> rest;
  char message[128] = {};
  std::uint8_t* out = nullptr; // [height][width][3]

  explicit png_reader(std::span<const std::byte> bytes)
      : rest{bytes} {}
  png_reader(const png_reader&) = delete;
  png_reader& operator=(const png_reader&) = delete;
  ~png_reader() { png_destroy_read_struct(&png, &info, nullptr); }

  [[noreturn]] static void leave(png_structp png, png_const_charp reason) {
    auto& self = *static_cast<png_reader*>(png_get_error_ptr(png));
    std::strncpy(self.message, reason, sizeof self.message - 1);
    std::longjmp(self.jump, 1);
  }
  static void silent(png_structp, png_const_charp) {}
  static void take(png_structp png, png_bytep to, std::size_t count) {
    auto& self = *static_cast<png_reader*>(png_get_io_ptr(png));
    if (count > self.rest.size()) png_error(png, "the end of the file");
    std::memcpy(to, self.rest.data(), count);
    self.rest = self.rest.subspan(count);
  }

  static void read_header(png_reader& self) {
    self.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &self, leave, silent);
    if (self.png != nullptr) self.info = png_create_info_struct(self.png);
    if (self.info == nullptr) {
      std::strncpy(self.message, "a libpng that refuses to start", sizeof self.message - 1);
      std::longjmp(self.jump, 1);
    }
    // Text and profiles are of no use here; what they unpack to is bounded, and so is their number.
    png_set_chunk_malloc_max(self.png, 8'000'000);
    png_set_chunk_cache_max(self.png, 100);
    png_set_user_limits(self.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); // check_size has the say
    png_set_read_fn(self.png, &self, take);
    png_read_info(self.png, self.info);
  }
  /// Everything becomes 8-bit RGB by dropping: the low byte of 16 bits, alpha, transparent colours.
  static void start(png_reader& self) {
    const auto colour = png_get_color_type(self.png, self.info);
    png_set_strip_16(self.png);
    if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(self.png);
    if (colour == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(self.png);
    png_set_strip_alpha(self.png);
    if ((colour & PNG_COLOR_MASK_COLOR) == 0) png_set_gray_to_rgb(self.png);
    png_set_interlace_handling(self.png);
    png_read_update_info(self.png, self.info);
    if (png_get_rowbytes(self.png, self.info) != std::size_t{3} * png_get_image_width(self.png, self.info))
      png_error(self.png, "rows of another length");
  }
  static void read_rows(png_reader& self) {
    const int passes = png_get_interlace_type(self.png, self.info) == PNG_INTERLACE_ADAM7 ? 7 : 1;
    const std::size_t height = png_get_image_height(self.png, self.info);
    const std::size_t stride = png_get_rowbytes(self.png, self.info);
    for (int pass = 0; pass < passes; ++pass)
      for (std::size_t y = 0; y < height; ++y) png_read_row(self.png, self.out + y * stride, nullptr);
  }
};

} // namespace detail

/// The picture in a PNG file, as Pillow's `open(…).convert("RGB")` gives it: alpha and transparency dropped, palette
/// and grey expanded, the high byte of 16 bits, no gamma, no colour profiles. (16-bit grey is the exception: Pillow
/// clips it at 255, here it becomes its high byte like 16-bit RGB.) What follows the last row is not looked at. Throws
/// errc::bad_file; `where` opens the sentence.
inline image decode_png(std::span<const std::byte> bytes, const decode_limits& limits = {},
                        std::string_view where = "PNG image") {
  detail::png_reader reader(bytes);
  const auto bad = [&] { return error(errc::bad_file, where, "an intact PNG image", reader.message); };

  if (!detail::completes(reader, detail::png_reader::read_header)) throw bad();
  const std::int64_t height = png_get_image_height(reader.png, reader.info);
  const std::int64_t width = png_get_image_width(reader.png, reader.info);
  detail::check_size(limits, where, height, width);
  constexpr std::int64_t densest = 1032; // bytes that deflate can hold in one
  const std::int64_t raw = static_cast<std::int64_t>(png_get_rowbytes(reader.png, reader.info)) * height;
  detail::check_cost(limits, where, 3 * height * width, raw / densest, bytes.size());
  if (!detail::completes(reader, detail::png_reader::start)) throw bad();
  image picture(static_cast<int>(height), static_cast<int>(width));
  reader.out = picture.pixels.data();
  if (!detail::completes(reader, detail::png_reader::read_rows)) throw bad();
  return picture;
}

/// A PNG file of the picture, lossless.
inline std::vector<std::byte> encode_png(const image& picture) {
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  header.width = static_cast<png_uint_32>(picture.width);
  header.height = static_cast<png_uint_32>(picture.height);
  header.format = PNG_FORMAT_RGB;
  const auto refused = [&] {
    const error fault(errc::invalid_argument, "encode_png", "a picture that PNG can hold", header.message);
    png_image_free(&header);
    return fault;
  };
  // the bound of the simplified interface: one pass of compression instead of two
  std::vector<std::byte> file(PNG_IMAGE_PNG_SIZE_MAX(header));
  png_alloc_size_t size = file.size();
  if (png_image_write_to_memory(&header, file.data(), &size, 0, picture.pixels.data(), 0, nullptr) == 0)
    throw refused();
  file.resize(size);
  return file;
}

} // namespace dynofa::data
