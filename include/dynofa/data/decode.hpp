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

namespace dynofa::data {

/// The picture in a JPEG or PNG file, told apart by its first bytes; see decode_jpeg and decode_png for how colours
/// become RGB. Throws errc::bad_file or errc::unsupported; `where` opens the sentence.
inline image decode(std::span<const std::byte> bytes, const decode_limits& limits = {},
                    std::string_view where = "image") {
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (head.starts_with("\xFF\xD8\xFF")) return decode_jpeg(bytes, limits, where);
  if (head.starts_with("\x89PNG\r\n\x1A\n")) return decode_png(bytes, limits, where);
  const std::string kind = kind_of_content(bytes);
  throw error(errc::bad_file, where, "a JPEG or PNG image",
              kind.empty() ? text(bytes.size(), " bytes of something else") : kind);
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
