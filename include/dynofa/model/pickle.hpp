#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/file.hpp"
#include "dynofa/model/pickle_stack.hpp"
#include "dynofa/model/tensor.hpp"

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Python's pickle language as torch writes it into checkpoints, protocols 2 to 5, read without running anything.
///
/// A pickle is a program for a small stack machine. This machine knows plain values, containers and the handful of
/// globals that stand for tensors. Any other class or function becomes an object that has a name and no content, and so
/// does what it would have made: training scripts store their arguments and scores beside the weights.
namespace dynofa::pickle {

namespace detail {

struct known_global {
  std::string_view module, name;
  enum { dictionary, rebuild_tensor, rebuild_parameter, rebuild_typed, storage } what;
  dtype type = dtype::f32;
};

inline constexpr known_global known_globals[] = {
    {"collections", "OrderedDict", known_global::dictionary},
    {"collections", "defaultdict", known_global::dictionary},
    {"torch._utils", "_rebuild_tensor", known_global::rebuild_tensor}, // before torch 0.4
    {"torch._utils", "_rebuild_tensor_v2", known_global::rebuild_tensor},
    {"torch._utils", "_rebuild_parameter", known_global::rebuild_parameter},
    {"torch._utils", "_rebuild_parameter_with_state", known_global::rebuild_parameter},
    {"torch._tensor", "_rebuild_from_type_v2", known_global::rebuild_typed},
    {"torch", "FloatStorage", known_global::storage, dtype::f32},
    {"torch", "DoubleStorage", known_global::storage, dtype::f64},
    {"torch", "HalfStorage", known_global::storage, dtype::f16},
    {"torch", "BFloat16Storage", known_global::storage, dtype::bf16},
    {"torch", "LongStorage", known_global::storage, dtype::i64},
    {"torch", "IntStorage", known_global::storage, dtype::i32},
    {"torch", "ShortStorage", known_global::storage, dtype::i16},
    {"torch", "CharStorage", known_global::storage, dtype::i8},
    {"torch", "ByteStorage", known_global::storage, dtype::u8},
    {"torch", "BoolStorage", known_global::storage, dtype::boolean},
};

/// Names of opcodes that exist but are refused, for the error sentence.
constexpr std::string_view refused_opcode(unsigned char code) {
  constexpr std::pair<unsigned char, std::string_view> names[] = {
      {'P', "PERSID"}, {0x82, "EXT1"}, {0x83, "EXT2"}, {0x84, "EXT4"}, {0x97, "NEXT_BUFFER"}};
  for (auto [known, name] : names)
    if (known == code) return name;
  return "unknown";
}

class machine : stack_machine {
public:
  using stack_machine::stack_machine;

  document run() {
    if (byte() != 0x80) fail("a pickle that starts with PROTO", text("byte ", int(code_of(0))));
    if (const auto protocol = byte(); protocol < 2 || protocol > 5)
      fail("pickle protocol 2 to 5", std::to_string(protocol));
    for (std::size_t executed = 0;; ++executed) {
      if (executed == limit_.opcodes) fail(text("at most ", limit_.opcodes, " opcodes"), "more");
      opcode_at_ = at_;
      const auto code = byte();
      if (code == '.') break;
      step(code);
    }
    result_.root = pop();
    if (!stack_.empty() || !marks_.empty()) fail("one value at the end", "more");
    result_.size = at_;
    return std::move(result_);
  }

private:
  void step(unsigned char code) {
    switch (code) {
    case 0x95: // FRAME: a hint for buffered readers
      if (number<std::uint64_t>() > bytes_.size() - at_) fail("a frame inside the file", "a longer one");
      return;
    case 'N': push(kind::none); return;
    case 0x88: push(kind::boolean).integer = 1; return;
    case 0x89: push(kind::boolean).integer = 0; return;
    case 'J': push(kind::integer).integer = number<std::int32_t>(); return;
    case 'K': push(kind::integer).integer = number<std::uint8_t>(); return;
    case 'M': push(kind::integer).integer = number<std::uint16_t>(); return;
    case 0x8a: push_long(number<std::uint8_t>()); return;
    case 0x8b: push_long(number<std::uint32_t>()); return;
    case 'G': push_real(); return;
    case 'X': push_text(kind::string, number<std::uint32_t>()); return;
    case 0x8c: push_text(kind::string, number<std::uint8_t>()); return;
    case 0x8d: push_text(kind::string, number<std::uint64_t>()); return;
    case 'U': push_text(kind::string, number<std::uint8_t>()); return; // Python 2's str
    case 'T': push_text(kind::string, number<std::uint32_t>()); return;
    case 'C': push_text(kind::bytes, number<std::uint8_t>()); return;
    case 'B': push_text(kind::bytes, number<std::uint32_t>()); return;
    case 0x8e:
    case 0x96: push_text(kind::bytes, number<std::uint64_t>()); return; // bytes, and a bytearray
    case 0x98: top(); return;                                           // makes a buffer read-only
    case 'I':
    case 'L': push_decimal(line()); return;      // Python 2 writes whole numbers beyond 32 bits in digits …
    case 'F': push_decimal_real(line()); return; // … and these belong to protocol 0
    case 'S':
    case 'V': {
      const auto s = line(longest_text);
      push(kind::string).text = code == 'S' && s.size() >= 2 ? s.substr(1, s.size() - 2) : s;
      return;
    }

    case '(':
      if (marks_.size() == limit_.marks) fail(text("at most ", limit_.marks, " open marks"), "more");
      marks_.push_back(stack_.size());
      return;
    case ')': push(kind::tuple); return;
    case 0x85: push_tuple(1); return;
    case 0x86: push_tuple(2); return;
    case 0x87: push_tuple(3); return;
    case 't': push_tuple(pop_mark()); return;
    case ']': push(kind::list); return;
    case 'a': extend(kind::list, 1); return;
    case 'e': extend(kind::list, pop_mark()); return;
    case '}': push(kind::dict); return;
    case 's': extend(kind::dict, 2); return;
    case 'u': extend(kind::dict, pop_mark()); return;
    case 'l': push_list(kind::list, pop_mark()); return;
    case 'd': push_list(kind::dict, pop_mark()); return;
    case 0x8f: push_object({"builtins", "set"}); return;
    case 0x90: extend(kind::object, pop_mark()); return;
    case 0x91:
      pop_many(pop_mark());
      push_object({"builtins", "frozenset"});
      return;
    case '0':
      if (available() == 0 && !marks_.empty())
        marks_.pop_back();
      else
        pop();
      return;
    case '1': pop_many(pop_mark()); return;
    case '2': stack_.push_back(top()); return;

    case 'q': remember(number<std::uint8_t>()); return;
    case 'r': remember(number<std::uint32_t>()); return;
    case 0x94: remember(memo_count_); return;
    case 'h': recall(number<std::uint8_t>()); return;
    case 'j': recall(number<std::uint32_t>()); return;
    case 'p': remember(decimal_index(line())); return;
    case 'g': recall(decimal_index(line())); return;

    case 'c': {
      const auto module = line();
      push_global(module, line());
      return;
    }
    case 0x93: {
      const auto name = pop(kind::string).text;
      push_global(pop(kind::string).text, name);
      return;
    }
    case 'R': reduce(); return;
    case 0x92: pop(); [[fallthrough]]; // NEWOBJ_EX: keywords, then as NEWOBJ: arguments and class
    case 0x81:
      pop();
      instantiate(pop());
      return;
    case 'o': { // a mark, a class and arguments: Python 2's old classes
      const auto class_and_arguments = pop_many(pop_mark());
      if (class_and_arguments.empty()) fail("a class", "none");
      instantiate(class_and_arguments.front());
      return;
    }
    case 'i': {
      const auto module = line(), name = line();
      pop_many(pop_mark());
      push_object({module, name});
      return;
    }
    case 'b': // BUILD sets attributes; torch hangs `_metadata` on a state dict, which holds nothing we need
      pop();
      if (const auto k = at(top()).kind; k != kind::dict && k != kind::object && k != kind::tensor)
        fail("attributes of a dict or an object only", text("some for ", name_of(k)));
      return;
    case 'Q': push_storage(); return;
    default:
      fail("an opcode that torch writes into checkpoints",
           text(refused_opcode(code), " (byte ", int(code), "); nothing was executed"), errc::unsupported);
    }
  }

  // --- torch ---
  void push_global(std::string_view module, std::string_view name) {
    for (std::size_t i = 0; i < std::size(known_globals); ++i)
      if (known_globals[i].module == module && known_globals[i].name == name) {
        push(kind::global).integer = static_cast<std::int64_t>(i);
        return;
      }
    push_object({module, name});
  }
  void push_object(class_ref c) {
    push(kind::object).integer = static_cast<std::int64_t>(result_.classes.size());
    result_.classes.push_back(c);
  }
  /// What a call of `callee` would make, if nothing here stands for it.
  void push_object_of(handle callee) {
    const auto c = at(callee, kind::object).integer;
    push(kind::object).integer = c;
  }
  void instantiate(handle callee) {
    if (at(callee).kind == kind::global && known_globals[at(callee).integer].what == known_global::dictionary)
      push(kind::dict);
    else
      push_object_of(callee);
  }

  const value& item(const value& tuple, std::size_t i, kind wanted) { return at(tuple.items[i], wanted); }

  void push_storage() {
    const auto& id = pop(kind::tuple);
    const auto count = id.items.size();
    if (count >= 2 && at(id.items[0]).kind == kind::string && at(id.items[0]).text == "module") {
      stack_.push_back(id.items[1]); // a class with its source, of a module that was saved whole
      return;
    }
    if (count < 5 || count > 6 || item(id, 0, kind::string).text != "storage")
      fail("a persistent id ('storage', class, key, location, numel)", text("a tuple of ", count));
    if (at(id.items[1]).kind == kind::object) { // elements of a kind that no weights have
      push_object_of(id.items[1]);
      return;
    }
    const auto& type = known_globals[item(id, 1, kind::global).integer];
    if (type.what != known_global::storage) fail("a storage class", printable(text(type.module, ".", type.name)));
    item(id, 3, kind::string);
    const auto numel = item(id, 4, kind::integer).integer;
    if (numel < 0) fail("a storage size", std::to_string(numel));
    const auto key = item(id, 2, kind::string).text;
    if (key.size() > 256)
      fail("a storage key of at most 256 bytes", text(key.size())); // keys are hashed again and again
    if (count == 6 && at(id.items[5]).kind != kind::none)
      fail("a whole storage", "a view of one, as torch before 0.4 wrote them", errc::unsupported);
    push(kind::storage).integer = static_cast<std::int64_t>(result_.storages.size());
    result_.storages.push_back({type.type, key, numel});
  }

  shape_type extents(const value& tuple) {
    if (tuple.items.size() > shape_type::capacity)
      fail(text("at most ", shape_type::capacity, " dimensions"), text(tuple.items.size()), errc::unsupported);
    shape_type result;
    for (std::size_t i = 0; i < tuple.items.size(); ++i) {
      const auto extent = item(tuple, i, kind::integer).integer;
      if (extent < 0) fail("extents and strides of 0 or more", std::to_string(extent));
      result.push_back(extent);
    }
    return result;
  }

  /// REDUCE calls a function in Python; here each known global is read as the value it stands for.
  void reduce() {
    const handle arguments = pop(), callee = pop();
    if (at(callee).kind == kind::object) return push_object_of(callee);
    call(known_globals[at(callee, kind::global).integer], at(arguments, kind::tuple));
  }
  void call(const known_global& global, const value& arguments) {
    const auto count = arguments.items.size();
    const auto wrong_count = [&] { fail(text("the arguments of ", global.name), text(count, " of them")); };
    switch (global.what) {
    case known_global::dictionary: { // Python 2 gives a list of pairs; a default is of no matter
      if (count > 1) wrong_count();
      std::vector<handle> entries;
      if (count == 1 && at(arguments.items[0]).kind == kind::list) {
        const auto& pairs = at(arguments.items[0]).items;
        copied_ += 2 * pairs.size();
        if (copied_ > limit_.values) fail(text("at most ", limit_.values, " values in pairs"), "more");
        for (const handle pair : pairs) {
          const value& p = at(pair);
          if ((p.kind != kind::list && p.kind != kind::tuple) || p.items.size() != 2)
            fail("pairs of a key and a value", std::string(name_of(p.kind)));
          entries.insert(entries.end(), p.items.begin(), p.items.end());
        }
      }
      push(kind::dict).items = std::move(entries);
      return;
    }
    case known_global::rebuild_tensor: { // storage, offset, shape, strides [, requires_grad, hooks [, metadata]]
      if (count < 4 || count > 7) wrong_count();
      if (at(arguments.items[0]).kind == kind::object) return push_object_of(arguments.items[0]);
      if (result_.tensors.size() == limit_.tensors) fail(text("at most ", limit_.tensors, " tensors"), "more");
      tensor_ref t{result_.storages[static_cast<std::size_t>(item(arguments, 0, kind::storage).integer)],
                   item(arguments, 1, kind::integer).integer, extents(item(arguments, 2, kind::tuple)),
                   extents(item(arguments, 3, kind::tuple))};
      if (t.offset < 0) fail("an offset of 0 or more", std::to_string(t.offset));
      if (t.shape.size() != t.strides.size())
        fail(text(t.shape.size(), " strides for ", to_string(t.shape)), text(t.strides.size()));
      push(kind::tensor).integer = static_cast<std::int64_t>(result_.tensors.size());
      result_.tensors.push_back(t);
      return;
    }
    case known_global::rebuild_parameter: { // data, requires_grad, hooks [, attributes]
      if (count < 3 || count > 4) wrong_count();
      if (at(arguments.items[0]).kind != kind::object) item(arguments, 0, kind::tensor);
      stack_.push_back(arguments.items[0]);
      return;
    }
    case known_global::rebuild_typed: { // a function of those above, a type, its arguments, attributes
      if (count != 4) wrong_count();
      if (at(arguments.items[0]).kind == kind::object) return push_object_of(arguments.items[0]);
      const auto& function = known_globals[item(arguments, 0, kind::global).integer];
      if (function.what != known_global::rebuild_tensor && function.what != known_global::rebuild_parameter)
        fail("a function that makes tensors", std::string(function.name));
      return call(function, item(arguments, 2, kind::tuple));
    }
    case known_global::storage: fail("a function", printable(text(global.module, ".", global.name)));
    }
  }

  std::size_t copied_ = 0; ///< values of lists of pairs
};

} // namespace detail

/// Reads the pickle at the front of `bytes` (more may follow: see document::size). `where` names the file in errors.
///
/// Errors: errc::bad_file for a truncated or malformed pickle or one beyond the limits, errc::unsupported for an opcode
/// that needs what is not in the file. Cost: linear in the pickle; memory at most about 130 bytes per value.
inline document read(std::span<const std::byte> bytes, std::string_view where, const limits& limit = {}) {
  return detail::machine(bytes, where, limit).run();
}

} // namespace dynofa::pickle
