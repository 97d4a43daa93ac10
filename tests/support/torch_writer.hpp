#pragma once
#include "dynofa/core/file.hpp"

#include <zip.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support {

using namespace std::string_literals;

/// The raw bytes of a number, as they stand in a file.
template <class T>
std::string raw(T number) {
  return {reinterpret_cast<const char*>(&number), sizeof number};
}
template <class T>
std::string raw(const std::vector<T>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)};
}

/// Bytes in memory as the readers take them, in a block of exactly their size so that sanitizers see the end.
inline dynofa::file_bytes in_memory(std::string_view content) {
  auto owner = std::make_shared<std::vector<std::byte>>(content.size());
  if (!content.empty()) std::memcpy(owner->data(), content.data(), content.size());
  return {*owner, owner};
}

/// Writes pickles opcode by opcode, each call one value or operation.
struct pickle_writer {
  std::string bytes = "\x80\x02";

  pickle_writer& op(std::string_view code) { return bytes += code, *this; }
  pickle_writer& string(std::string_view s) { return op("X").op(raw(static_cast<std::uint32_t>(s.size()))).op(s); }
  pickle_writer& integer(std::int64_t n) {
    if (n >= 0 && n < 256) return op("K").op(raw(static_cast<std::uint8_t>(n)));
    if (n == static_cast<std::int32_t>(n)) return op("J").op(raw(static_cast<std::int32_t>(n)));
    return op("\x8a\x08").op(raw(n));
  }
  pickle_writer& boolean(bool b) { return op(b ? "\x88" : "\x89"); }
  pickle_writer& global(std::string_view module, std::string_view name) {
    return op("c").op(module).op("\n").op(name).op("\n");
  }
  pickle_writer& integers(const std::vector<std::int64_t>& numbers) {
    op("(");
    for (auto n : numbers) integer(n);
    return op("t");
  }
  std::string stop() { return op(".").bytes; }
};

struct torch_storage {
  std::string type = "FloatStorage", key = "0", content;
  std::int64_t numel = 0;
};

struct torch_view {
  std::string name;
  std::size_t storage = 0;
  std::int64_t offset = 0;
  std::vector<std::int64_t> shape, strides;
};

template <class T>
torch_storage storage_of(std::string type, std::string key, const std::vector<T>& numbers) {
  return {std::move(type), std::move(key), raw(numbers), static_cast<std::int64_t>(numbers.size())};
}

/// A state dict as torch.save writes it, in both formats; faults are made by changing the parts.
struct torch_file {
  std::vector<torch_storage> storages;
  std::vector<torch_view> views;
  bool wrapped = true; ///< {'epoch': 7, 'state_dict': …} instead of the bare state dict
  std::string name = "state_dict";
  std::vector<std::pair<std::string, std::string>> beside; ///< more entries of the outer dict: opcodes of the value
  bool python2 = false;           ///< an ordered dict is made of a list of pairs, names are byte strings
  std::string front = "\x80\x02"; ///< PROTO and the protocol
  std::string location = "cpu";

  std::string magic = std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
  std::int64_t protocol = 1001;
  bool little_endian = true;

  /// Opcodes that leave the state dict on the stack.
  std::string state(bool legacy) const {
    pickle_writer p{""};
    p.global("collections", "OrderedDict").op(python2 ? "](" : ")R(");
    for (const auto& view : views) {
      const auto& storage = storages[view.storage];
      if (python2)
        p.op("](U").op(raw(static_cast<std::uint8_t>(view.name.size()))).op(view.name);
      else
        p.string(view.name);
      p.global("torch._utils", "_rebuild_tensor_v2");
      p.op("((")
          .string("storage")
          .global("torch", storage.type)
          .string(storage.key)
          .string(location)
          .integer(storage.numel);
      if (legacy) p.op("N");
      p.op("tQ").integer(view.offset).integers(view.shape).integers(view.strides).boolean(false);
      p.global("collections", "OrderedDict").op(python2 ? "]\x85RtRe" : ")RtR");
    }
    return p.op(python2 ? "e\x85R" : "u").bytes;
  }

  std::string object(bool legacy) const {
    pickle_writer p{front};
    if (!wrapped) return p.op(state(legacy)).stop();
    p.op("}(").string("epoch").integer(7).string(name).op(state(legacy));
    for (const auto& [key, value] : beside) p.string(key).op(value);
    return p.op("u").stop();
  }

  std::string keys() const {
    pickle_writer p;
    p.op("](");
    for (const auto& storage : storages) p.string(storage.key);
    return p.op("e").stop();
  }

  std::string legacy_front() const {
    pickle_writer facts;
    facts.op("}(").string("protocol_version").integer(1001).string("little_endian").boolean(little_endian).op("u");
    return magic + pickle_writer().integer(protocol).stop() + facts.stop();
  }
  std::string legacy_with(std::string_view object) const {
    std::string file = legacy_front() + std::string(object) + keys();
    for (const auto& storage : storages) file += raw(storage.numel) + storage.content;
    return file;
  }
  std::string legacy() const { return legacy_with(object(true)); }

  using entries = std::vector<std::pair<std::string, std::string>>;
  entries zip_entries_with(std::string_view object) const {
    entries all{{"net/data.pkl", std::string(object)}, {"net/byteorder", little_endian ? "little" : "big"}};
    for (const auto& storage : storages) all.emplace_back("net/data/" + storage.key, storage.content);
    all.emplace_back("net/version", "3\n");
    return all;
  }
  entries zip_entries() const { return zip_entries_with(object(false)); }
};

/// What training scripts keep beside the weights, as opcodes that leave it on the stack: numpy's float64, whose bytes
/// protocol 2 writes as a call, and argparse's Namespace, in protocol 2 and 5.
inline const std::string numpy_scalar = "cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\2\0\0\0f8\x89\x88\x87R("
                                        "K\3X\1\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tbc_codecs\n"
                                        "encode\nX\11\0\0\0\0\0\0\0\0\xc3\xa0R@X\6\0\0\0latin1\x86R\x86R"s;
inline const std::string namespace_2 =
    "cargparse\nNamespace\n)\x81}(X\2\0\0\0lrG?\xb9\x99\x99\x99\x99\x99\x9aX\6\0\0\0resumeNub"s;
inline const std::string namespace_5 =
    "\x8c\x08"
    "argparse\x94\x8c\tNamespace\x94\x93\x94)\x81\x94}\x94(\x8c\2lr\x94G?\xb9\x99\x99\x99\x99\x99\x9a\x8c\6resume\x94Nub"s;

/// An archive of these entries, stored or deflated; "" if libzip cannot make it.
inline std::string zip_of(const torch_file::entries& entries, bool deflate = false) {
  zip_error_t fault;
  zip_error_init(&fault);
  zip_source_t* target = zip_source_buffer_create(nullptr, 0, 0, &fault);
  zip_source_keep(target); // zip_close takes one reference, we read through the other
  zip_t* archive = zip_open_from_source(target, ZIP_CREATE | ZIP_TRUNCATE, &fault);
  zip_error_fini(&fault);
  bool good = archive != nullptr;
  for (const auto& [name, content] : entries) {
    const auto index =
        zip_file_add(archive, name.c_str(), zip_source_buffer(archive, content.data(), content.size(), 0), 0);
    good = good && index >= 0;
    zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
  }
  good = good && zip_close(archive) == 0;

  std::string result;
  if (good && zip_source_open(target) == 0) {
    char block[4096];
    for (zip_int64_t got; (got = zip_source_read(target, block, sizeof block)) > 0;)
      result.append(block, static_cast<std::size_t>(got));
    zip_source_close(target);
  }
  zip_source_free(target);
  return result;
}

/// Five small tensors of several types, two of them in one storage, one of those transposed.
inline torch_file small_torch_file() {
  torch_file file;
  file.storages = {storage_of<float>("FloatStorage", "10", {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}),
                   storage_of<std::int64_t>("LongStorage", "11", {-5}),
                   storage_of<std::uint16_t>("HalfStorage", "12", {0x3C00, 0xC000}),
                   storage_of<std::uint8_t>("BoolStorage", "13", {1, 0, 1})};
  file.views = {{"first.weight", 0, 0, {2, 3}, {3, 1}},
                {"first.turned", 0, 6, {3, 2}, {1, 3}},
                {"first.count", 1, 0, {}, {}},
                {"first.half", 2, 0, {2}, {1}},
                {"first.mask", 3, 0, {3, 1}, {1, 1}}};
  return file;
}

} // namespace support
