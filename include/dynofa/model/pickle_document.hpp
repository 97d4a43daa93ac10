#pragma once
#include "dynofa/model/tensor.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// What a pickle holds, as values that name each other; `pickle.hpp` reads one.
namespace dynofa::pickle {

/// What a value is. Storages and tensors are torch's; an object stands for whatever else a class or function would
/// make.
enum class kind : std::uint8_t {
  none,        ///< None
  boolean,     ///< True or False
  integer,     ///< of at most 64 bits
  big_integer, ///< of more
  real,        ///< a float: 64 bits
  string,      ///< UTF-8
  bytes,       ///< of any content
  tuple,       ///< of values
  list,        ///< of values
  dict,        ///< of pairs of values, in the file's order
  global,      ///< a class or function, by its module and name
  storage,     ///< torch's block of elements
  tensor,      ///< torch's view of a storage
  object,      ///< what an unknown class or function would have made
};

/// As Python calls it, for sentences: "a dict".
constexpr std::string_view name_of(kind k) {
  constexpr std::string_view names[] = {"None",     "a bool",    "an int",   "a long int", "a float",
                                        "a string", "bytes",     "a tuple",  "a list",     "a dict",
                                        "a class",  "a storage", "a tensor", "an object"};
  return names[static_cast<std::size_t>(k)];
}

/// Values live in their document and name each other by index: containers may hold each other, even themselves.
using handle = std::uint32_t;

/// A value of Python's; which members hold it follows from its kind.
struct value {
  pickle::kind kind = kind::none; ///< decides which of the others count
  std::int64_t integer = 0;  ///< boolean, integer; for a storage, tensor or object its place in the document's list
  double real = 0;           ///< real
  std::string_view text;     ///< string (UTF-8 as found), bytes, big_integer (two's complement, little-endian)
  std::vector<handle> items; ///< tuple, list; a dict holds key, value, key, value, …
};

/// ('storage', torch.FloatStorage, key, location, numel): the location is ignored, everything is read to the host.
struct storage_ref {
  dtype type;           ///< of the elements
  std::string_view key; ///< the storage's name in the file
  std::int64_t numel;   ///< elements that it claims; not checked against the file here
};

/// A class or function that this reader does not know. It is never looked up or called: it stands for itself and for
/// whatever it would have made.
struct class_ref {
  std::string_view module, name; ///< as the pickle spells them
};

/// A strided view of a storage; offset and strides count elements. Not yet checked against the storage.
struct tensor_ref {
  storage_ref storage;       ///< that it looks at
  std::int64_t offset;       ///< elements before the first one
  shape_type shape, strides; ///< one number per axis
};

/// One pickle as values. Strings point into the pickle's bytes, which must outlive the document.
struct document {
  handle root = 0;           ///< of the value that the pickle is
  std::size_t size = 0;      ///< bytes of the pickle up to and with its STOP
  std::vector<value> values; ///< every value; a handle is an index here
  ///@{
  /// Each stands for a value of its kind.
  std::vector<storage_ref> storages;
  std::vector<tensor_ref> tensors;
  ///@}
  std::vector<class_ref> classes; ///< of the objects

  const value& operator[](handle h) const { return values[h]; } ///< `h` has to be one of this document's
  const value& top() const { return values[root]; }             ///< the value that the pickle is

  /// "an int", "an object of argparse.Namespace": for sentences.
  std::string describe(const value& v) const {
    if (v.kind != kind::object) return std::string(name_of(v.kind));
    const class_ref& c = classes[static_cast<std::size_t>(v.integer)];
    const std::string name = printable(text(c.module, '.', c.name));
    return "an object of " + name.substr(1, name.size() - 2);
  }

  /// The value of a text key in a dict, or null. The last one wins, as in Python.
  const value* find(const value& dict, std::string_view key) const {
    for (std::size_t i = dict.items.size(); i >= 2; i -= 2) {
      const auto& k = values[dict.items[i - 2]];
      if (k.kind == kind::string && k.text == key) return &values[dict.items[i - 1]];
    }
    return nullptr;
  }
};

} // namespace dynofa::pickle
