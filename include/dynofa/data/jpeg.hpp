#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio> // jpeglib.h uses FILE and size_t without including them
// clang-format off
#include <jpeglib.h>
#include <jerror.h> // needs jpeglib.h
// clang-format on
#include "dynofa/core/error.hpp"
#include "dynofa/data/codec.hpp"
#include "dynofa/data/image.hpp"

#include <csetjmp>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

namespace dynofa::data {

namespace detail {

/// The part that reading and writing share: libjpeg's error hooks, leading back to `completes`.
struct jpeg_guard {
  std::jmp_buf jump;
  jpeg_error_mgr errors{};
  char message[JMSG_LENGTH_MAX] = {};
  bool at_end = false; // of the file, before its end mark

  [[noreturn]] static void leave(j_common_ptr info) {
    auto& self = *static_cast<jpeg_guard*>(info->client_data);
    self.errors.format_message(info, self.message);
    std::longjmp(self.jump, 1);
  }
  /// Corrupt data is tolerated as Pillow does (libjpeg carries on with the next marker), but not data that the end of
  /// the file cuts: libjpeg would fill the rest with grey.
  static void warn(j_common_ptr info, int level) {
    if (level >= 0) return;
    auto& self = *static_cast<jpeg_guard*>(info->client_data);
    if (info->err->msg_code == JWRN_JPEG_EOF) self.at_end = true;
    if (!self.at_end || info->err->msg_code != JWRN_HIT_MARKER) return;
    info->err->msg_code = JWRN_JPEG_EOF;
    leave(info);
  }
  static void silent(j_common_ptr) {}

  template <class Info>
  void attach(Info& info) {
    info.err = jpeg_std_error(&errors);
    info.client_data = this;
    errors.error_exit = leave;
    errors.emit_message = warn;
    errors.output_message = silent;
  }
};

/// One pixel of an inverted CMYK file (Adobe's convention, the only one met in practice; Pillow assumes it too).
inline void rgb_from_inverted_cmyk(const std::uint8_t* cmyk, std::uint8_t* rgb) {
  const int light = cmyk[3]; // 255 − black
  for (int c = 0; c < 3; ++c) {
    const int product = (255 - cmyk[c]) * light + 128;
    rgb[c] = static_cast<std::uint8_t>(light - (((product >> 8) + product) >> 8)); // product / 255, rounded
  }
}

struct jpeg_reader : jpeg_guard {
  jpeg_decompress_struct info{};
  jpeg_progress_mgr progress{};
  std::span<const std::byte> bytes;
  int most_scans;
  std::uint8_t* out = nullptr;    // [height][width][3]
  std::vector<std::uint8_t> cmyk; // one row, if the file has four channels

  jpeg_reader(std::span<const std::byte> bytes_, int most_scans_)
      : bytes{bytes_}
      , most_scans{most_scans_} {
    attach(info);
  }
  jpeg_reader(const jpeg_reader&) = delete;
  jpeg_reader& operator=(const jpeg_reader&) = delete;
  ~jpeg_reader() { jpeg_destroy_decompress(&info); }

  /// A progressive file of a few kilobytes can hold thousands of scans, each costing a pass over the whole picture.
  static void limit_scans(j_common_ptr common) {
    const auto& self = *static_cast<jpeg_reader*>(common->client_data);
    if (self.info.input_scan_number <= self.most_scans) return;
    common->err->msg_code = JERR_BAD_PROGRESSION;
    leave(common);
  }

  static void read_header(jpeg_reader& self) {
    jpeg_create_decompress(&self.info);
    self.progress.progress_monitor = limit_scans;
    self.info.progress = &self.progress;
    jpeg_mem_src(&self.info, reinterpret_cast<const unsigned char*>(self.bytes.data()), self.bytes.size());
    jpeg_read_header(&self.info, TRUE);
  }
  static void start(jpeg_reader& self) {
    self.info.dct_method = JDCT_ISLOW;
    self.info.do_fancy_upsampling = TRUE;
    jpeg_start_decompress(&self.info);
  }
  static void read_rows(jpeg_reader& self) {
    const std::size_t width = self.info.output_width;
    while (self.info.output_scanline < self.info.output_height) {
      std::uint8_t* const rgb = self.out + self.info.output_scanline * width * 3;
      JSAMPROW row = self.cmyk.empty() ? rgb : self.cmyk.data();
      jpeg_read_scanlines(&self.info, &row, 1);
      for (std::size_t x = 0; 4 * x < self.cmyk.size(); ++x) rgb_from_inverted_cmyk(row + 4 * x, rgb + 3 * x);
    }
  }
  /// Whether a file without an end mark has all its picture: every coefficient to its last bit. Arithmetic codes do not
  /// tell.
  bool is_whole() const {
    if (!at_end) return true;
    bool whole = !info.arith_code;
    for (int c = 0; whole && c < info.num_components; ++c)
      for (int k = 0; k < DCTSIZE2; ++k)
        whole &= info.progressive_mode ? info.coef_bits[c][k] == 0 : info.comp_info[c].quant_table != nullptr;
    return whole;
  }
  /// Blocks of 8 × 8 coefficients in all components.
  std::int64_t blocks() const {
    std::int64_t n = 0;
    for (int c = 0; c < info.num_components; ++c)
      n += std::int64_t{info.comp_info[c].width_in_blocks} * info.comp_info[c].height_in_blocks;
    return n;
  }
};

struct jpeg_writer : jpeg_guard {
  jpeg_compress_struct info{};
  const image& picture;
  int quality;
  unsigned char* buffer = nullptr; // malloc'ed by libjpeg
  unsigned long size = 0;

  jpeg_writer(const image& picture_, int quality_)
      : picture{picture_}
      , quality{quality_} {
    attach(info);
  }
  jpeg_writer(const jpeg_writer&) = delete;
  jpeg_writer& operator=(const jpeg_writer&) = delete;
  ~jpeg_writer() {
    jpeg_destroy_compress(&info);
    std::free(buffer);
  }

  static void write(jpeg_writer& self) {
    jpeg_create_compress(&self.info);
    jpeg_mem_dest(&self.info, &self.buffer, &self.size);
    self.info.image_width = static_cast<JDIMENSION>(self.picture.width);
    self.info.image_height = static_cast<JDIMENSION>(self.picture.height);
    self.info.input_components = 3;
    self.info.in_color_space = JCS_RGB;
    jpeg_set_defaults(&self.info);
    jpeg_set_quality(&self.info, self.quality, TRUE);
    jpeg_start_compress(&self.info, TRUE);
    while (self.info.next_scanline < self.info.image_height) {
      auto* row = const_cast<JSAMPROW>(self.picture.row(static_cast<int>(self.info.next_scanline)));
      jpeg_write_scanlines(&self.info, &row, 1);
    }
    jpeg_finish_compress(&self.info);
  }
};

} // namespace detail

/// The picture in a JPEG file, as Pillow's `open(…).convert("RGB")` gives it: accurate integer DCT, smooth chroma
/// upsampling, grey copied to three channels, CMYK and YCCK through Adobe's inverted convention; no colour profiles, no
/// EXIF rotation. Memory: the picture, and for a progressive file its coefficients; `limits` bounds both before they
/// are allocated. Throws errc::bad_file or errc::unsupported; `where` opens the sentence.
inline image decode_jpeg(std::span<const std::byte> bytes, const decode_limits& limits = {},
                         std::string_view where = "JPEG image") {
  detail::jpeg_reader reader(bytes, limits.scans);
  const auto bad = [&] { return error(errc::bad_file, where, "an intact JPEG image", reader.message); };

  if (!detail::completes(reader, detail::jpeg_reader::read_header)) throw bad();
  const std::int64_t height = reader.info.image_height, width = reader.info.image_width, blocks = reader.blocks();
  detail::check_size(limits, where, height, width);
  // A file of several scans keeps all its coefficients, 64 of two bytes per block. Huffman codes spend at least a bit
  // on each block; arithmetic ones have no such bound, so a generous one is made.
  const std::int64_t coefficients = jpeg_has_multiple_scans(&reader.info) ? 128 * blocks : 0;
  detail::check_cost(limits, where, 3 * height * width + coefficients, blocks / (reader.info.arith_code ? 4096 : 8),
                     bytes.size());
  switch (reader.info.jpeg_color_space) {
  case JCS_GRAYSCALE:
  case JCS_YCbCr:
  case JCS_RGB: reader.info.out_color_space = JCS_RGB; break;
  case JCS_CMYK:
  case JCS_YCCK: reader.info.out_color_space = JCS_CMYK; break;
  default:
    throw error(errc::unsupported, where, "a JPEG image in grey, RGB, YCbCr, CMYK or YCCK",
                text(reader.info.num_components, " components of unknown meaning"));
  }

  if (!detail::completes(reader, detail::jpeg_reader::start)) throw bad();
  image picture(static_cast<int>(reader.info.output_height), static_cast<int>(reader.info.output_width));
  reader.out = picture.pixels.data();
  if (reader.info.out_color_space == JCS_CMYK) reader.cmyk.resize(std::size_t{4} * reader.info.output_width);
  if (!detail::completes(reader, detail::jpeg_reader::read_rows)) throw bad();
  if (!reader.is_whole()) throw error(errc::bad_file, where, "an intact JPEG image", "one that is cut short");
  return picture;
}

/// A baseline JPEG file with 4:2:0 chroma; `quality` 1 … 100. Throws errc::invalid_argument.
inline std::vector<std::byte> encode_jpeg(const image& picture, int quality = 90) {
  if (quality < 1 || quality > 100)
    throw error(errc::invalid_argument, "encode_jpeg", "a quality of 1 to 100", text(quality));
  detail::jpeg_writer writer(picture, quality);
  if (!detail::completes(writer, detail::jpeg_writer::write))
    throw error(errc::invalid_argument, "encode_jpeg", "a picture that JPEG can hold", writer.message);
  const auto* data = reinterpret_cast<const std::byte*>(writer.buffer);
  return {data, data + writer.size};
}

} // namespace dynofa::data
