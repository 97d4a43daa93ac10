#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/file.hpp"
#include "dynofa/data/codec.hpp"
#include "dynofa/data/image.hpp"
#include "dynofa/data/jpeg.hpp"
#include "dynofa/data/png.hpp"

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace dynofa::data {

namespace detail {

/// What a file that is neither JPEG nor PNG is, by its first bytes; empty if they tell nothing.
inline std::string_view kind_of_bytes(std::string_view head) {
  constexpr std::pair<std::string_view, std::string_view> kinds[] = {{"GIF8", "a GIF image"},
                                                                     {"BM", "a BMP image"},
                                                                     {{"II*\0", 4}, "a TIFF image"},
                                                                     {{"MM\0*", 4}, "a TIFF image"},
                                                                     {"P5", "a PGM image"},
                                                                     {"P6", "a PPM image"},
                                                                     {{"\0\x05\x16\x07", 4}, "an AppleDouble file"},
                                                                     {"<", "an HTML or XML text"},
                                                                     {"version https://git-lfs", "a git-lfs pointer"}};
  for (const auto& [start, kind] : kinds)
    if (head.starts_with(start)) return kind;
  if (head.size() < 12) return {};
  if (head.starts_with("RIFF") && head.substr(8).starts_with("WEBP")) return "a WebP image";
  if (head.substr(4).starts_with("ftyp"))
    return head.substr(8).starts_with("avif") ? "an AVIF image" : "a HEIF image or video";
  return {};
}

} // namespace detail

/// The picture in a JPEG or PNG file, told apart by its first bytes; see decode_jpeg and decode_png for how colours
/// become RGB. Throws errc::bad_file or errc::unsupported; `where` opens the sentence.
inline image decode(std::span<const std::byte> bytes, const decode_limits& limits = {},
                    std::string_view where = "image") {
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (head.starts_with("\xFF\xD8\xFF")) return decode_jpeg(bytes, limits, where);
  if (head.starts_with("\x89PNG\r\n\x1A\n")) return decode_png(bytes, limits, where);
  const std::string_view kind = bytes.empty() ? "an empty file" : detail::kind_of_bytes(head);
  throw error(errc::bad_file, where, "a JPEG or PNG image",
              kind.empty() ? text(bytes.size(), " bytes of something else") : std::string(kind));
}

/// `decode` of a file; the path opens every sentence. Throws errc::io too.
inline image read_image(const std::filesystem::path& path, const decode_limits& limits = {}) {
  return decode(read_bytes(path), limits, path.string());
}

/// Writes the picture as PNG; a failure leaves what was there. Throws errc::io.
inline void write_png(const std::filesystem::path& path, const image& picture) {
  replace_file(path, encode_png(picture));
}

} // namespace dynofa::data
