#include "dynofa/report/progress.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

namespace dynofa_test::report_progress {

using namespace dynofa;

TEST_CASE("a bar ends once, with everything done") {
  std::ostringstream out;
  report::progress bar(out, "images");
  for (std::size_t i = 0; i <= 50; ++i) CHECK(bar(i, 50));
  bar(50, 50);
  CHECK(out.str().find("images [==============================] 50/50") != std::string::npos);
  const std::string drawn = out.str();
  CHECK(std::count(drawn.begin(), drawn.end(), '\n') == 1);
}

TEST_CASE("the line of work that stopped early is ended, once") {
  std::ostringstream out;
  {
    report::progress bar(out, "images");
    bar(1, 50);
    bar.end();
    bar(2, 50); // comes too late
  }
  { report::progress never(out, "never drawn"); }
  const std::string drawn = out.str();
  CHECK(drawn.find("1/50") != std::string::npos);
  CHECK(drawn.find("2/50") == std::string::npos);
  CHECK(std::count(drawn.begin(), drawn.end(), '\n') == 1);
  CHECK(drawn.back() == '\n');
}

TEST_CASE("nothing to do is done") {
  std::ostringstream out;
  report::progress bar(out, "nothing");
  bar(0, 0);
  CHECK(out.str().find("0/0") != std::string::npos);
}

} // namespace dynofa_test::report_progress
