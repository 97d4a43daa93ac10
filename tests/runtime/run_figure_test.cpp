#include "dynofa/runtime/run_figure.hpp"

#include <doctest/doctest.h>

#include "runtime/families.hpp"
#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"

namespace dynofa_test::runtime_run_figure {

using namespace dynofa;
using namespace dynofa::runtime;

TEST_CASE("a run as a figure: a colour per level that ran, the limit dashed, accuracy below") {
  std::vector<image_record> images(4);
  for (std::size_t i = 0; i < images.size(); ++i) {
    images[i].level = i < 2 ? 5 : 1;
    images[i].latency_ms = 250;
    images[i].wanted.latency_ms = i == 0 ? target::none : 300;
  }
  const report::figure f = figure_of(images, paper_six, "a run");
  REQUIRE(f.all.size() == 3);
  CHECK(f.all[0].title == "level 1");
  CHECK(f.all[1].title == "level 5");
  CHECK(f.all[0].points.front() == std::array{0.75, 250.0});
  CHECK(f.all[2].style == report::series::look::dashed_line);
  REQUIRE(f.below.size() == 1);
  CHECK(f.below[0].points.back() == std::array{1.0, paper_six[1].top1});

  const support::scratch_folder folder;
  const auto drawn = report::draw(f, folder.path() / "run");
  const std::string script = support::read_text(folder.path() / "run.gp");
  CHECK(script.find("set multiplot layout 2,1") != std::string::npos);
  CHECK(script.find("index 3 with steps") != std::string::npos);
  CHECK((drawn.empty() || drawn.size() == 2)); // gnuplot may be absent; where it is, it took the script

  images[0].level = 6;
  CHECK_THROWS_AS(figure_of(images, paper_six, "a run"), error);
}

} // namespace dynofa_test::runtime_run_figure
