#include "dynofa/model/pickle.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/torch_writer.hpp"
#include <tuple>

namespace dynofa_test::model_pickle {

using namespace dynofa;
using namespace support;
using pickle::kind;

namespace {

pickle::document parse(const std::string& bytes, const pickle::limits& limit = {}) {
  return pickle::read(std::as_bytes(std::span(bytes)), "p", limit);
}
std::string fault(std::string_view operations, const pickle::limits& limit = {}) {
  const auto bytes = "\x80\x02" + std::string(operations);
  return sentence([&] { parse(bytes, limit); });
}
std::string zeros(std::string_view operations, char zero = '_') { // '_' stands for a zero byte, for readable literals
  std::string s(operations);
  for (char& c : s) c = c == zero ? '\0' : c;
  return s;
}

} // namespace

TEST_CASE("plain values keep their kind and content") {
  struct expectation {
    std::string operations;
    kind what;
    std::int64_t integer = 0;
    std::string_view text = {};
  };
  for (const auto& expected : {expectation{"N", kind::none},
                               expectation{"\x88", kind::boolean, 1},
                               expectation{"\x89", kind::boolean, 0},
                               expectation{"K\xff", kind::integer, 255},
                               expectation{"M\xe9\x03", kind::integer, 1001},
                               expectation{"J\xff\xff\xff\xff", kind::integer, -1},
                               expectation{zeros("\x8a_"), kind::integer, 0},
                               expectation{"\x8a\x01\xff", kind::integer, -1},
                               expectation{zeros("\x8a\x02\xff_"), kind::integer, 255},
                               expectation{zeros("\x8a\x08_______\x80"), kind::integer, INT64_MIN},
                               expectation{zeros("\x8b\x03____\x01\x01"), kind::integer, 65792},
                               expectation{"\x8a\x09\x01\x02\x03\x04\x05\x06\x07\x08\x09", kind::big_integer, 0,
                                           "\x01\x02\x03\x04\x05\x06\x07\x08\x09"},
                               expectation{zeros("X\x02___ab"), kind::string, 0, "ab"},
                               expectation{"\x8c\x02"
                                           "ab",
                                           kind::string, 0, "ab"},
                               expectation{zeros("\x8d\x02_______ab"), kind::string, 0, "ab"},
                               expectation{"U\x02"
                                           "ab",
                                           kind::string, 0, "ab"},
                               expectation{zeros("T\x02___ab"), kind::string, 0, "ab"},
                               expectation{"C\x02"
                                           "ab",
                                           kind::bytes, 0, "ab"},
                               expectation{zeros("B\x02___ab"), kind::bytes, 0, "ab"},
                               expectation{zeros("\x8e\x02_______ab"), kind::bytes, 0, "ab"},
                               expectation{")", kind::tuple},
                               expectation{"]", kind::list},
                               expectation{"}", kind::dict}}) {
    const auto bytes = "\x80\x02" + expected.operations + ".";
    CAPTURE(bytes);
    const auto document = parse(bytes);
    CHECK(document.top().kind == expected.what);
    CHECK(document.top().integer == expected.integer);
    CHECK(document.top().text == expected.text);
    CHECK(document.size == bytes.size());
  }
  const auto real = zeros("\x80\x02G\xbf\xf8______.");
  CHECK(parse(real).top().real == -1.5);
}

TEST_CASE("containers, memo and protocol 4") {
  const auto values = [](const pickle::document& d, const pickle::value& container) {
    std::vector<std::int64_t> numbers;
    for (auto item : container.items) numbers.push_back(d[item].integer);
    return numbers;
  };
  for (std::string_view operations : {"K\x01K\x02K\x03\x87", "(K\x01K\x02K\x03t",
                                      "](K\x01K\x02K\x03"
                                      "e",
                                      "]K\x01"
                                      "aK\x02"
                                      "aK\x03"
                                      "a"}) {
    CAPTURE(operations);
    const auto document = parse(text("\x80\x02", operations, "."));
    CHECK(values(document, document.top()) == std::vector<std::int64_t>{1, 2, 3});
  }
  const auto recalled = parse(zeros("\x80\x02K\x02r\x01\x01__K\x03q\x07j\x01\x01__h\x07\x86\x87."));
  CHECK(values(recalled, recalled[recalled.top().items[2]]) == std::vector<std::int64_t>{2, 3});

  const std::string dict = zeros("\x80\x04\x95\x10_______}\x94(\x8c\x01"
                                 "a\x94K\x07h\x01\x85K\x08u.");
  const auto document = parse(dict);
  REQUIRE(document.find(document.top(), "a"));
  CHECK(document.find(document.top(), "a")->integer == 7);
  CHECK(document[document.top().items[2]].kind == kind::tuple);

  // a list that holds itself is a value like any other: nothing here follows it
  const auto knot = parse(zeros("\x80\x02]q_h_a."));
  CHECK(knot.top().items == std::vector<pickle::handle>{knot.root});
}

TEST_CASE("tensors are storage, offset, shape and strides") {
  const auto file = small_torch_file();
  for (bool legacy : {true, false}) {
    const auto bytes = file.object(legacy);
    const auto document = parse(bytes);
    const auto* state = document.find(document.top(), "state_dict");
    REQUIRE(state);
    const auto* turned = document.find(*state, "first.turned");
    REQUIRE(turned);
    REQUIRE(turned->kind == kind::tensor);
    const auto& t = document.tensors[static_cast<std::size_t>(turned->integer)];
    CHECK(t.storage.type == dtype::f32);
    CHECK(t.storage.key == "10");
    CHECK(t.storage.numel == 12);
    CHECK(t.offset == 6);
    CHECK(t.shape == shape_type{3, 2});
    CHECK(t.strides == shape_type{1, 3});
  }

  pickle_writer p; // a parameter is its tensor; a state dict's attributes (_metadata) are passed over
  p.global("torch._utils", "_rebuild_parameter").op("(").global("torch._utils", "_rebuild_tensor_v2");
  p.op("((").string("storage").global("torch", "BFloat16Storage").string("k").string("cuda:0").integer(4).op("NtQ");
  p.integer(0).integers({4}).integers({1}).boolean(true).global("collections", "OrderedDict").op(")RtR");
  p.boolean(true).global("collections", "OrderedDict").op(")RtR");
  const auto bytes = p.stop();
  const auto parameter = parse(bytes);
  CHECK(parameter.top().kind == kind::tensor);
  CHECK(parameter.tensors.at(0).storage.type == dtype::bf16);
  CHECK(parse(zeros("\x80\x02"
                    "ccollections\nOrderedDict\n)R}X\x01___aNsb."))
            .top()
            .kind == kind::dict);
}

TEST_CASE("a class or function that is not known stands for itself and for what it would make") {
  const auto seen = [](const std::string& operations) {
    const auto bytes = "\x80\x02" + operations + ".";
    const auto document = parse(bytes);
    CHECK(document.top().items.empty());
    return document.describe(document.top());
  };
  const std::string system = "cos\nsystem\n";
  CHECK(seen(system) == "an object of os.system");
  CHECK(seen("\x8c\x05posix\x8c\x06system\x93") == "an object of posix.system");
  CHECK(seen(system + zeros("X\x04___true\x85R")) == "an object of os.system"); // nothing was called
  CHECK(seen(system + ")R)RNb") == "an object of os.system");                   // what it made, called; attributes
  CHECK(seen(system + ")\x81}(K\x01K\x02ub") == "an object of os.system");
  CHECK(seen(system + ")}\x92") == "an object of os.system");
  CHECK(seen("(" + system + "K\x01o") == "an object of os.system");
  CHECK(seen("(K\x01ios\nsystem\n") == "an object of os.system");
  CHECK(seen(system + ")R(K\x01K\x02u") == "an object of os.system"); // a dict of a class of its own
  CHECK(seen(system + ")R(K\x01K\x02"
                      "eK\x03"
                      "a") == "an object of os.system");
  CHECK(seen("\x8f(K\x01K\x02\x90") == "an object of builtins.set");
  CHECK(seen("(K\x01K\x02\x91") == "an object of builtins.frozenset");
  CHECK(seen("c\x01\x02\n\xff\n") == "an object of ??.?");
  CHECK(seen(numpy_scalar) == "an object of numpy.core.multiarray.scalar");
  CHECK(seen(namespace_2) == "an object of argparse.Namespace");
  CHECK(seen(namespace_5) == "an object of argparse.Namespace");
  // of an element type that no weights have
  CHECK(seen(zeros("(X\x07___storagectorch\nComplexFloatStorage\nX\x01___kX\x03___cpuK\x01tQ")) ==
        "an object of torch.ComplexFloatStorage");
  // a module that was saved whole
  CHECK(seen(zeros("(X\x06___modulecofa.networks\nMobileNetV3\nNNtQ)\x81}b")) ==
        "an object of ofa.networks.MobileNetV3");
}

TEST_CASE("what needs more than the file is refused by name") {
  struct refusal {
    char code;
    std::string_view name;
  };
  for (auto [code, name] :
       {refusal{'\x82', "EXT1"}, refusal{'P', "PERSID"}, refusal{'\x97', "NEXT_BUFFER"}, refusal{'\xfe', "unknown"}})
    CHECK(fault(std::string(1, code)).find(text("got ", name, " (byte ")) != std::string::npos);
  // calling what is not a function, and giving attributes to what can have none
  CHECK(fault("ctorch\nFloatStorage\n)R").find("expected a function, got \"torch.FloatStorage\"") != std::string::npos);
  CHECK(fault("ctorch\nFloatStorage\n)\x81").find("expected an object, got a class") != std::string::npos);
  CHECK(fault("K\x01)R") == "p, pickle byte 5: expected a class, got an int");
  CHECK(fault("]}b").find("expected attributes of a dict or an object only") != std::string::npos);
}

TEST_CASE("what Python 2 and older protocols write") {
  for (const auto& [digits, what, wanted] :
       {std::tuple("I70368744177664\n", kind::integer, std::int64_t{1} << 46),
        std::tuple("I01\n", kind::boolean, std::int64_t{1}), std::tuple("I00\n", kind::boolean, std::int64_t{0}),
        std::tuple("L-5L\n", kind::integer, std::int64_t{-5}),
        std::tuple("L123456789012345678901234567890L\n", kind::big_integer, std::int64_t{0})}) {
    const auto bytes = text("\x80\x02", digits, ".");
    CAPTURE(bytes);
    const auto document = parse(bytes);
    CHECK(document.top().kind == what);
    CHECK(document.top().integer == wanted);
  }
  CHECK(parse("\x80\x02"
              "F-1.5\n.")
            .top()
            .real == -1.5);
  for (std::string text : {"S'ab'\n", "Vab\n"}) {
    const auto bytes = "\x80\x02" + text + ".";
    CHECK(parse(bytes).top().text == "ab");
  }
  const std::string memo = "\x80\x02(lp0\ng0\n\x86.", dict = "\x80\x02(K\x01K\x02"
                                                             "d.";
  CHECK(parse(memo).top().items == std::vector<pickle::handle>{0, 0});
  CHECK(parse(dict).top().kind == kind::dict);
  CHECK(parse(dict).top().items.size() == 2);
  const std::string popped = "\x80\x02K\x01(K\x02K\x03"
                             "1(0K\x04"
                             "0.",
                    twice = "\x80\x02K\x01"
                            "2\x86.";
  CHECK(parse(popped).top().integer == 1);
  CHECK(parse(twice).top().items == std::vector<pickle::handle>{0, 0});
  // an ordered dict from a list of pairs
  const std::string pairs = "\x80\x02"
                            "ccollections\nOrderedDict\n](](U\x01"
                            "aK\x07"
                            "eU\x01"
                            "bK\x08\x86"
                            "e\x85R.";
  const auto document = parse(pairs);
  REQUIRE(document.find(document.top(), "b"));
  CHECK(document.find(document.top(), "a")->integer == 7);
  CHECK(document.find(document.top(), "b")->integer == 8);
  CHECK(fault("ccollections\nOrderedDict\n]K\x01"
              "a\x85R")
            .find("expected pairs of a key and a value, got an int") != std::string::npos);
  for (std::string_view wrong : {"I1x\n", "I\n", "Fabc\n", "Lx\n", "Np-1\n", "gx\n"})
    CHECK(fault(wrong).find("expected a") != std::string::npos);
}

TEST_CASE("malformed pickles give one sentence each") {
  CHECK(sentence([] { parse(""); }) ==
        "p, pickle byte 0: expected at least 1 more bytes, got 0 up to the end of the file (truncated)");
  CHECK(sentence([] { parse("K\x01."); }) == "p, pickle byte 0: expected a pickle that starts with PROTO, got byte 75");
  CHECK(sentence([] { parse("\x80\x06N."); }) == "p, pickle byte 0: expected pickle protocol 2 to 5, got 6");
  CHECK(fault(zeros("X\x10___ab")) ==
        "p, pickle byte 2: expected at least 16 more bytes, got 2 up to the end of the file (truncated)");
  CHECK(fault("\x8e\xff\xff\xff\xff\xff\xff\xff\xff").find("expected at least 18446744073709551615 more bytes") !=
        std::string::npos);
  CHECK(fault(".") == "p, pickle byte 2: expected a value on the stack, got none");
  CHECK(fault("NN.") == "p, pickle byte 4: expected one value at the end, got more");
  CHECK(fault("(N.") == "p, pickle byte 4: expected one value at the end, got more");
  CHECK(fault("N(\x85") == "p, pickle byte 4: expected 1 values on the stack, got 0"); // a mark is a floor
  CHECK(fault("t") == "p, pickle byte 2: expected a mark, got none");
  CHECK(fault("h\x01") == "p, pickle byte 2: expected a memo index in use, got 1");
  CHECK(fault("Nq\x05h\x03") == "p, pickle byte 5: expected a memo index in use, got 3");
  CHECK(fault("Nr\xff\xff\xff\xff") == "p, pickle byte 3: expected a memo index below 1048576, got 4294967295");
  CHECK(fault("NNa") == "p, pickle byte 4: expected a list, got None");
  CHECK(fault("}(Nu") == "p, pickle byte 5: expected a value for each key, got a key without");
  CHECK(fault("cno end of line").find("expected a name and the end of its line") != std::string::npos);
  CHECK(fault(zeros("\x95\xff_______")) == "p, pickle byte 2: expected a frame inside the file, got a longer one");
  CHECK(fault(")Q") ==
        "p, pickle byte 3: expected a persistent id ('storage', class, key, location, numel), got a tuple of 0");
}

TEST_CASE("malformed tensors give one sentence each") {
  const auto with = [](auto change) {
    auto file = small_torch_file();
    change(file);
    const auto bytes = file.object(true);
    const auto s = sentence([&] { parse(bytes); });
    return s.substr(s.find("expected") == s.npos ? 0 : s.find("expected"));
  };
  CHECK(with([](auto& f) { f.views[0].shape = {-1, 3}; }) == "expected extents and strides of 0 or more, got -1");
  CHECK(with([](auto& f) { f.views[0].strides = {3}; }) == "expected 2 strides for [2, 3], got 1");
  CHECK(with([](auto& f) { f.views[0].offset = -1; }) == "expected an offset of 0 or more, got -1");
  CHECK(with([](auto& f) { f.views[0].shape = f.views[0].strides = std::vector<std::int64_t>(9, 1); }) ==
        "expected at most 8 dimensions, got 9");
  CHECK(with([](auto& f) { f.storages[0].numel = -1; }) == "expected a storage size, got -1");
  CHECK(with([](auto& f) { f.storages[0].key.assign(257, 'k'); }) ==
        "expected a storage key of at most 256 bytes, got 257");
  CHECK(with([](auto&) {}) == "(no error)");

  pickle_writer view; // the format of torch before 0.4: a storage as a view of another
  view.op("(").string("storage").global("torch", "FloatStorage").string("k").string("cpu").integer(1).op(")tQ.");
  CHECK(sentence([&] { parse(view.bytes); }).find("expected a whole storage, got a view of one") != std::string::npos);
}

TEST_CASE("limits hold") {
  pickle::limits limit;
  limit.values = 10;
  CHECK(fault(std::string(11, 'N'), limit).find("expected at most 10 values, got more") != std::string::npos);
  limit = {};
  limit.opcodes = 5;
  CHECK(fault("NNNNNNN", limit).find("expected at most 5 opcodes, got more") != std::string::npos);
  limit = {};
  limit.bytes = 6;
  CHECK(fault("NNNNNNN", limit).find("expected a pickle of at most 6 bytes, got more") != std::string::npos);
  CHECK(fault(std::string(257, '(')).find("expected at most 256 open marks, got more") != std::string::npos);
  limit = {};
  limit.values = 30; // one list of pairs made into dicts again and again is copied each time
  std::string pairs = zeros("](NN\x86NN\x86NN\x86"
                            "e\x85q_0");
  for (int i = 0; i < 6; ++i) pairs += zeros("ccollections\nOrderedDict\nh_R");
  CHECK(fault(pairs, limit).find("expected at most 30 values in pairs, got more") != std::string::npos);
  limit = {};
  limit.tensors = 4;
  const auto bytes = small_torch_file().object(true);
  CHECK(sentence([&] { parse(bytes, limit); }).find("expected at most 4 tensors, got more") != std::string::npos);
}

} // namespace dynofa_test::model_pickle
