#include "dynofa/core/error.hpp"

#include <doctest/doctest.h>

namespace dynofa_test::core_error {

using namespace dynofa;

TEST_CASE("text does not follow the global locale, which the tests have changed") {
  std::ostringstream foreign;
  foreign << 1024 << ' ' << 0.5;
  REQUIRE(foreign.str() == "1.024 0,5");
  CHECK(text(1024, ' ', 0.5, ' ', 1e6) == "1024 0.5 1e+06");
}

TEST_CASE("text joins whatever streams can print") { CHECK(text("r", 160, ' ', 1.5, std::string("!")) == "r160 1.5!"); }

TEST_CASE("numbers with a chosen number of places, or in another base") {
  CHECK(fixed(2.345678, 3) == "2.346");
  CHECK(in_base(16, 0x8f0c) + ' ' + in_base(8, 0644) == "8f0c 644");
  CHECK(fixed(-1e300, 0).size() == 302);
}

TEST_CASE("an error is one sentence and its parts") {
  const error e(errc::missing_key, "checkpoint", "a key \"x\"", "none");
  CHECK(std::string(e.what()) == "checkpoint: expected a key \"x\", got none");
  CHECK(e.code() == errc::missing_key);
  CHECK(e.where() == "checkpoint");
  CHECK(e.expected() == "a key \"x\"");
  CHECK(e.got() == "none");
}

TEST_CASE("an error is one line, whatever a file is called") {
  const error e(errc::io, "caf\u00e9\n\x1b[2J", "a\tb", "\x7f");
  CHECK(std::string(e.what()) == "caf\u00e9??[2J: expected a?b, got ?");
  CHECK(e.where() == "caf\u00e9\n\x1b[2J");
}

TEST_CASE("an error is a std::runtime_error and survives being copied and rethrown") {
  try {
    const error original(errc::io, "file", "bytes", "nothing");
    const error copy = original;
    throw copy;
  } catch (const std::runtime_error& e) {
    CHECK(std::string(e.what()) == "file: expected bytes, got nothing");
    CHECK(dynamic_cast<const error&>(e).code() == errc::io);
  }
}

TEST_CASE("a bad argument is refused in one sentence, a good one costs nothing") {
  CHECK_NOTHROW(require_argument(true, "steps", "at least 1", 0));
  try {
    require_argument(false, "steps", "at least 1", 0, " of ", 7);
    FAIL("no error");
  } catch (const error& e) {
    CHECK(e.code() == errc::invalid_argument);
    CHECK(std::string(e.what()) == "steps: expected at least 1, got 0 of 7");
  }
}

} // namespace dynofa_test::core_error
