#pragma once
#include "dynofa/core/error.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

// What lies where another file was expected, for the sentence that refuses it.

namespace dynofa {

namespace detail {

/// A git-lfs or git-annex pointer, or what a web server sends instead of a file: nobody wants those themselves. Else
/// "".
inline std::string stand_in(std::string_view content) {
  for (const std::string_view lfs :
       {"version https://git-lfs.github.com/spec/", "version https://hawser.github.com/spec/"})
    if (content.starts_with(lfs)) return "a git-lfs pointer (`git lfs pull` fetches the file that it stands for)";
  if (content.starts_with("/annex/objects/"))
    return "a git-annex pointer (`git annex get` fetches the file that it stands for)";
  if (content.starts_with("\xEF\xBB\xBF")) content.remove_prefix(3);
  content.remove_prefix(std::min(content.size(), content.find_first_not_of(" \t\r\n")));
  std::string head(content.substr(0, 16));
  for (char& c : head)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  for (const std::string_view html : {"<!doctype html", "<html", "<head", "<body"})
    if (head.starts_with(html)) return "an HTML page (of a download that failed?)";
  if (head.starts_with("<?xml")) return "an XML page (of a download that failed?)";
  return {};
}

} // namespace detail

/// What a file of another kind is, told by its first bytes: "an empty file", "a git-lfs pointer (…)", "an HTML page
/// (…)", "a gzip archive", "a JPEG image", …; "" for whatever is not known here.
inline std::string kind_of_content(std::string_view content) {
  using namespace std::string_view_literals;
  if (content.empty()) return "an empty file";
  if (std::string kind = detail::stand_in(content); !kind.empty()) return kind;
  constexpr struct {
    std::string_view first, kind;
  } known[] = {{"\x1F\x8B"sv, "a gzip archive"},
               {"BZh"sv, "a bzip2 archive"},
               {"\xFD"
                "7zXZ\0"sv,
                "an xz archive"},
               {"\x28\xB5\x2F\xFD"sv, "a zstd archive"},
               {"7z\xBC\xAF\x27\x1C"sv, "a 7z archive"},
               {"Rar!\x1A\x07"sv, "a rar archive"},
               {"PK\3\4"sv, "a zip archive"},
               {"\x89HDF\r\n\x1A\n"sv, "an HDF5 file"},
               {"\x93NUMPY"sv, "a NumPy array"},
               {"%PDF-"sv, "a PDF document"},
               {"\x7F"
                "ELF"sv,
                "a program"},
               {"\xFF\xD8\xFF"sv, "a JPEG image"},
               {"\x89PNG\r\n\x1A\n"sv, "a PNG image"},
               {"GIF8"sv, "a GIF image"},
               {"II*\0"sv, "a TIFF image"},
               {"MM\0*"sv, "a TIFF image"},
               {"\0\0\1\0"sv, "an icon"},
               {"BM"sv, "a BMP image"},
               {"P5"sv, "a PGM image"},
               {"P6"sv, "a PPM image"},
               {"\0\x05\x16\x07"sv, "an AppleDouble file"}};
  for (const auto& [first, kind] : known)
    if (content.starts_with(first)) return std::string(kind);
  if (content.starts_with("RIFF") && content.substr(0, 12).ends_with("WEBP")) return "a WebP image";
  if (content.substr(0, 12).ends_with("ftypavif")) return "an AVIF image";
  if (content.substr(0, 8).ends_with("ftyp")) return "a HEIF image or video";
  if (content.size() > 262 && content.substr(257).starts_with("ustar")) return "a tar archive";
  if (std::all_of(content.begin(),
                  content.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(content.size(), 512)),
                  [](char c) { return c == '\0'; }))
    return "zeros (of a download that was not finished?)";
  return {};
}
/// The same for bytes.
inline std::string kind_of_content(std::span<const std::byte> content) {
  return kind_of_content(std::string_view(reinterpret_cast<const char*>(content.data()), content.size()));
}

} // namespace dynofa
