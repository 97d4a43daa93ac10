#include "dynofa/calibrate/statistics_file.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include "support/some_ranges.hpp"
#include "support/tiny_space.hpp"
#include <cmath>
#include <limits>
#include <utility>

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

TEST_CASE("ranges come back bit for bit, and a file without them is as it was") {
  const support::scratch_folder scratch;
  const auto path = scratch.path() / "s.safetensors";
  const auto net = support::tiny_supernet();
  bound_statistics s = example(*net);
  save_statistics(path, s);
  const safetensors_file without = read_safetensors(path);
  CHECK(without.tensors.size() == 2);
  CHECK(load_statistics(path, *net, s.arch, s.preprocessing).statistics.ranges.empty());
  s.statistics.ranges = support::some_ranges(make_plan(net->space, s.arch));
  save_statistics(path, s);
  CHECK(read_safetensors(path).tensors.size() == 4);
  CHECK(load_statistics(path, *net, s.arch, s.preprocessing).statistics == s.statistics);
}

TEST_CASE("ranges that cannot be are one sentence") {
  const support::scratch_folder scratch;
  const auto path = scratch.path() / "s.safetensors";
  const auto net = support::tiny_supernet();
  bound_statistics s = example(*net);
  const activation_ranges good = support::some_ranges(make_plan(net->space, s.arch));
  const auto said = [&](auto change) {
    s.statistics.ranges = good;
    change(s.statistics.ranges);
    save_statistics(path, s);
    return support::sentence([&] { load_statistics(path, *net, s.arch, s.preprocessing); });
  };
  const auto range = [&](float low, float high) {
    return said([&](activation_ranges& r) { r.low[5] = low, r.high[5] = high; });
  };
  const float nan = std::nanf(""), infinity = std::numeric_limits<float>::infinity(),
              most = std::numeric_limits<float>::max();
  const std::string expected = path.string() + ", activation range 5: expected low ≤ 0 ≤ high and a finite width, got ";
  CHECK(range(0, 0) == "(no error)");
  CHECK(range(2, 1) == expected + "2 to 1");
  CHECK(range(1, 2) == expected + "1 to 2");
  CHECK(range(-2, -1) == expected + "-2 to -1");
  CHECK(range(nan, 1) == expected + "NaN to 1");
  CHECK(range(-1, nan) == expected + "-1 to NaN");
  CHECK(range(0, infinity) == expected + "0 to inf");
  CHECK(range(-most, most).starts_with(expected));

  const auto wanted = text(path.string(), ": expected ", good.low.size(), " activation ranges for ", s.arch, ", got ");
  CHECK(said([](activation_ranges& r) { r.low.pop_back(); }) ==
        text(wanted, good.low.size() - 1, " lows and ", good.low.size(), " highs"));
  CHECK(said([](activation_ranges& r) { r.low.push_back(0), r.high.push_back(0); }) ==
        text(wanted, good.low.size() + 1, " lows and ", good.low.size() + 1, " highs"));

  for (const auto& [missing, there] : {std::pair("range_low", "range_high"), std::pair("range_high", "range_low")}) {
    s.statistics.ranges = good;
    save_statistics(path, s);
    safetensors_file file = read_safetensors(path);
    REQUIRE(file.tensors.contains(there));
    file.tensors.erase(missing);
    const auto half = scratch.path() / "half.safetensors";
    write_safetensors(half, file.tensors, file.metadata);
    CHECK(support::sentence([&] { load_statistics(half, *net, s.arch, s.preprocessing); }) ==
          text(half.string(), ": expected tensor ", missing, ", got none"));
  }
}

} // namespace dynofa_test::calibrate_statistics_file
