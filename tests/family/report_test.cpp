#include "dynofa/family/report.hpp"
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::family_report {

using namespace dynofa;

namespace {
/// Two levels that are right on so many of `images`.
family two_levels(int images, int worse, int better) {
  const auto net = support::tiny_supernet();
  family f(net, data::exact_preprocessing(), {});
  const auto add = [&](const arch& a, int correct, double ms) {
    f.add({a, stored_statistics(*net, a), {images, correct, images}, {{"here", ms, ms, ms, 10}}});
  };
  add(smallest(net->space), worse, 1), add(largest(net->space), better, 2);
  return f;
}
} // namespace

TEST_CASE("the table has a row per level") {
  const family f = two_levels(1000, 500, 600);
  const std::string table = markdown_table(f, "here");
  CHECK(table.find("| 0 | 32 | ") != std::string::npos);
  CHECK(table.find(" | 50.00 (46.91-53.09) | 100.00 | 1.000 | ") != std::string::npos);
  CHECK(table.find("| 1 | 64 | ") != std::string::npos);
  CHECK(support::sentence([&] { markdown_table(f, "there"); }).find("a latency on there") != std::string::npos);
}

TEST_CASE("accuracies that a common value explains are told") {
  CHECK(accuracies_overlap(two_levels(20, 10, 12)));
  CHECK_FALSE(accuracies_overlap(two_levels(1000, 500, 600)));
  family one = two_levels(20, 10, 12);
  one.remove(0);
  CHECK_FALSE(accuracies_overlap(one));
}

TEST_CASE("the figures hold levels and others") {
  const support::scratch_folder folder;
  const family f = two_levels(1000, 500, 600);
  const measured_arch other{largest(f.space()), 55};
  draw_family(f, "here", std::span(&other, 1), count_model::macs(f.space()), folder.path());
  const std::string data = support::read_text(folder.path() / "accuracy_latency.dat");
  CHECK(data.find("1 50\n2 60\n") != std::string::npos);
  CHECK(data.find(" 55\n") != std::string::npos);
  CHECK(std::filesystem::exists(folder.path() / "accuracy_macs.gp"));
}

} // namespace dynofa_test::family_report
