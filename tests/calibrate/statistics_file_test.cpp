#include "dynofa/calibrate/statistics_file.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include "support/tiny_space.hpp"
#include <cmath>
#include <limits>

namespace dynofa_test::calibrate_statistics_file {

using namespace dynofa;

namespace {

bound_statistics example(const supernet& net) {
  const plan p = make_plan(net.space, smallest(net.space));
  return {net.hash(), p.arch, data::imagenet_preprocessing(), 2000, stored_statistics(net, p)};
}

} // namespace

TEST_CASE("statistics come back bit for bit") {
  const support::scratch_folder scratch;
  const auto net = support::tiny_supernet();
  const bound_statistics s = example(*net);
  save_statistics(scratch.path() / "s.safetensors", s);
  const bound_statistics back =
      load_statistics(scratch.path() / "s.safetensors", *net, s.arch, data::imagenet_preprocessing());
  CHECK(back.statistics == s.statistics);
  CHECK(back.images == 2000);
}

TEST_CASE("statistics of ProxylessNAS come back, whatever its inactive genes say") {
  const support::scratch_folder scratch;
  const auto net = support::tiny_proxyless();
  const auto path = scratch.path() / "s.safetensors";
  bound_statistics s = example(*net);
  s.arch.ks[3] = 7; // of a block that does not run
  REQUIRE_FALSE(s.arch.active(3));
  save_statistics(path, s);
  CHECK(load_statistics(path, *net, smallest(net->space), data::imagenet_preprocessing()).statistics == s.statistics);
}

TEST_CASE("for another network, architecture, resolution or preprocessing they are refused") {
  const support::scratch_folder scratch;
  const auto net = support::tiny_supernet(), other = support::tiny_supernet(8);
  const bound_statistics s = example(*net);
  const auto path = scratch.path() / "s.safetensors";
  save_statistics(path, s);
  const auto said = [&](const supernet& n, const arch& a, const data::preprocessing& rule) {
    return support::sentence([&] { load_statistics(path, n, a, rule); });
  };
  const auto rule = data::imagenet_preprocessing();
  CHECK(said(*other, s.arch, rule).find("expected statistics of super-network") != std::string::npos);
  arch larger = s.arch;
  larger.r = 64;
  CHECK(said(*net, larger, rule).find("expected statistics of") != std::string::npos);
  CHECK(said(*net, largest(net->space), rule).find(", got of") != std::string::npos);
  CHECK(said(*net, s.arch, data::exact_preprocessing()).find("prepared as") != std::string::npos);
}

TEST_CASE("a file of another kind is one sentence") {
  const support::scratch_folder scratch;
  const auto net = support::tiny_supernet();
  bound_statistics s = example(*net);
  const auto path = scratch.path() / "s.safetensors";
  write_safetensors(path, {{"mean", tensor::of_floats(s.statistics.mean, {std::int64_t(s.statistics.mean.size())})}});
  const auto load = [&] { load_statistics(path, *net, s.arch, s.preprocessing); };
  CHECK(support::sentence(load).ends_with("expected metadata dynofa.statistics, got none"));
  s.statistics.var[3] = -1;
  save_statistics(path, s);
  const std::string expected = ": expected a finite mean, a finite variance of at least 0, got ";
  CHECK(support::sentence(load).find(", first_conv.bn, channel 3" + expected) != std::string::npos);
  s.statistics.var[3] = std::numeric_limits<float>::infinity(), s.statistics.mean[3] = std::nanf("");
  save_statistics(path, s);
  CHECK(support::sentence(load) == path.string() + ", first_conv.bn, channel 3" + expected + "NaN and inf");
  s.statistics.var[3] = s.statistics.mean[3] = 1;
  s.statistics.var.pop_back(), s.statistics.mean.pop_back();
  save_statistics(path, s);
  CHECK(support::sentence(load).find("channels for") != std::string::npos);
}

} // namespace dynofa_test::calibrate_statistics_file
