#include "dynofa/report/figure.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include <limits>

namespace dynofa_test::report_figure {

using namespace dynofa;

namespace {
const report::figure sample{"Accuracy, it's 'measured'\n",
                            "ms",
                            "top-1 %",
                            {{"seen", {{1, 50}, {2, std::numeric_limits<double>::quiet_NaN()}, {3, 60}}},
                             {"empty", {}},
                             {"front", {{1, 50}, {3, 60.5}}, report::series::look::line_and_points}}};
} // namespace

TEST_CASE("a figure is data, a script, and images where gnuplot is") {
  const support::scratch_folder folder;
  const auto stem = folder.path() / "it's a plot";
  const auto images = report::draw(sample, stem);
  CHECK(support::read_text(folder.path() / "it's a plot.dat") == "# 'seen'\n1 50\n3 60\n\n\n# 'front'\n1 50\n3 60.5\n");
  const std::string script = support::read_text(folder.path() / "it's a plot.gp");
  CHECK(script.find("set title 'Accuracy, it''s ''measured'' '") != std::string::npos);
  CHECK(script.find("'it''s a plot.dat' index 1 with linespoints") != std::string::npos);
  if (images.empty()) return; // no gnuplot here
  REQUIRE(images.size() == 2);
  CHECK(support::read_text(images[0]).find("<svg") != std::string::npos);
  CHECK(support::read_text(images[1]).substr(1, 3) == "PNG");
}

TEST_CASE("bars begin at nought, and the legend stands below them") {
  const support::scratch_folder folder;
  const auto bars = report::series::look::bars;
  const auto images =
      report::draw({"t", "case", "ms", {{"A", {{1, 5}}, bars}, {"B", {{2, 9}}, bars}}}, folder.path() / "bars");
  const std::string script = support::read_text(folder.path() / "bars.gp");
  for (const char* part : {"index 1 with boxes", "set yrange [0:]", "set key outside"})
    CHECK(script.find(part) != std::string::npos);
  if (!images.empty()) CHECK(support::read_text(images[0]).find("<svg") != std::string::npos);
}

TEST_CASE("a figure of nothing, and one that cannot be written, are one sentence") {
  CHECK(support::sentence([] {
          report::draw({"t", "x", "y", {{"none", {}}}}, "/tmp/none");
        }) == "figure /tmp/none: expected at least one finite point, got none");
  CHECK(support::sentence([] {
          report::draw(sample, "/no/such/folder/plot");
        }).starts_with("/no/such/folder/plot.dat: expected to write the file"));
}

} // namespace dynofa_test::report_figure
