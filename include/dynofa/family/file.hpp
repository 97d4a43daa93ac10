#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/family/family.hpp"

#include <filesystem>
#include <string>

// A family as one file: safetensors with the super-network ("supernet.…"), per level "level.N.mean" and ".var", where
// ranges were recorded ".range_low" and ".range_high", per section "NAME.…" and metadata "dynofa.NAME", and the rest as
// JSON in the metadata. "dynofa.checksum" is XXH3-128 of the whole file with zeros in its own place.

namespace dynofa {

/// The version of the file's form. A reader accepts its own and refuses newer ones.
inline constexpr int family_format = 1;

/// Writes a family; readers see the old file or the new one, never a part (`replace_file`). Loading gives the same
/// family to the bit: arrays whose every value is a half are stored as halves (`round_to_half`), others as floats. The
/// same family gives the same bytes. Throws errc::io, errc::bad_file for a weight that is infinite or NaN, or
/// errc::invalid_argument for more than 256 levels, texts that are not UTF-8 or a section of another name than small
/// letters.
void save_family(const std::filesystem::path& path, const family& f);

/// Reads a family from memory; `where` names it in errors. One sentence refuses what is truncated, altered or newer
/// (errc::bad_file, errc::unsupported), and a value that is infinite or NaN by tensor and index. Weights are copied
/// out; nothing refers to the bytes afterwards.
family read_family(const file_bytes& file, const std::string& where);

/// Reads a family file through a mapping.
family load_family(const std::filesystem::path& path);

} // namespace dynofa

// A program that links dynofa::runtime has these compiled: its own compilation then reads no JSON library.
#ifndef DYNOFA_RUNTIME_LINKED
#include "dynofa/family/file.inl"
#endif
