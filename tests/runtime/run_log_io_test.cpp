#include "dynofa/core/random.hpp"
#include "dynofa/runtime/forecast.hpp"
#include "dynofa/runtime/run_log_io.hpp"
#include "dynofa/simulate/trace_io.hpp"

#include <doctest/doctest.h>

#include "runtime/families.hpp"
#include <algorithm>
#include <bit>
#include <sstream>

namespace dynofa_test::runtime_run_log_io {

using namespace dynofa;
using namespace dynofa::runtime;

namespace {

/// Images whose every number is of random bits, as far as a manager could have logged it.
run_log some_log(std::uint64_t seed, std::size_t images) {
  random_stream random(seed, "log");
  run_log log("forecast", {"slow_down", "noise"}, images);
  const auto positive = [&] { return std::exp(20 * random.normal()); };
  for (std::size_t i = 0; i < images; ++i) {
    image_record r;
    r.image = 3 * i + random.below(3);
    r.level = random.below(7);
    r.latency_ms = positive();
    r.wanted = {.latency_ms = random.chance(0.3) ? target::none : positive(),
                .percentile = 0.5 + 0.4999 * random.uniform(),
                .min_top1 = 100 * random.uniform(),
                .deadline_ms = random.chance(0.5) ? target::none : random.normal(),
                .energy_mj = random.chance(0.5) ? target::none : positive()};
    r.why = static_cast<reason>(random.below(6));
    r.switched = random.chance(0.5), r.cold = random.chance(0.5), r.outlier = random.chance(0.5);
    if (random.chance(0.5)) r.sensors = {random.normal(), -0.0, {}, positive(), {}, positive(), {}, -3.5, {}};
    r.state.push_back(random.normal());
    r.state.push_back(positive());
    log.add(r);
  }
  return log;
}

std::string as_json(const run_log& log) {
  std::ostringstream out;
  write_json_lines(out, log);
  return out.str();
}
std::string as_csv(const run_log& log) {
  std::ostringstream out;
  write_csv(out, log);
  return out.str();
}
run_log read(const std::string& content) { return read_run_log(content, "a log"); }

} // namespace

TEST_CASE("what is written is read back, to the bit") {
  const run_log log = some_log(1, 300);
  for (const std::string& content : {as_json(log), as_csv(log)}) {
    const run_log back = read(content);
    REQUIRE(back.size() == log.size());
    CHECK(back.policy() == log.policy());
    CHECK(back.state_names() == log.state_names());
    for (std::size_t i = 0; i < log.size(); ++i) {
      if (!(back[i] == log[i])) FAIL_CHECK("image ", i, " differs");
      CHECK(std::bit_cast<std::uint64_t>(back[i].latency_ms) == std::bit_cast<std::uint64_t>(log[i].latency_ms));
    }
    CHECK(as_json(back) == as_json(log));
  }
}

TEST_CASE("a deadline that is infinitely long ago, a state that is no number") {
  run_log log("forecast", {"x", "y"}, 2);
  image_record r;
  r.wanted.deadline_ms = -target::none;
  r.state = {std::numeric_limits<double>::quiet_NaN(), 1.0};
  log.add(r);
  r.image = 1;
  r.state = {2.0, target::none};
  log.add(r);
  for (const std::string& content : {as_json(log), as_csv(log)}) {
    const run_log back = read(content);
    CHECK(back[0].wanted.limit_ms() == std::numeric_limits<double>::lowest());
    for (std::size_t i = 0; i < 2; ++i)
      for (std::size_t s = 0; s < 2; ++s)
        CHECK((back.state_names()[s] == "x" ? std::isnan(back[i].state[s]) == (i == 0)
                                            : std::isnan(back[i].state[s]) == (i == 1)));
  }
}

TEST_CASE("a log is a trace as well") {
  run_log log(forecast(paper_six), 2);
  image_record r;
  r.latency_ms = 2 * paper_six[0].latency_ms;
  r.wanted.latency_ms = 50;
  log.add(r);
  for (const std::string& content : {as_json(log), as_csv(log)}) {
    const trace t = read_trace(content, "log", paper_six);
    CHECK(t.factor.at(0) == doctest::Approx(2));
    CHECK(t.targets.at(0).wanted.latency_ms == 50);
  }
}

TEST_CASE("a file begins with its levels, stands for itself, and may be joined to others") {
  run_log log(forecast(paper_six), 2);
  image_record r;
  r.latency_ms = 2 * paper_six[1].latency_ms, r.level = 1;
  log.add(r);
  const auto written = [&](auto write) {
    std::ostringstream out;
    write(out, log); // in two parts, as a manager's log is emptied
    run_log rest(forecast(paper_six), 2);
    image_record next = r;
    next.image = 1;
    rest.add(next);
    write(out, rest);
    return out.str();
  };
  const std::string json = written([](auto& out, const run_log& part) { write_json_lines(out, part); });
  const std::string csv = written([](auto& out, const run_log& part) { write_csv(out, part); });
  CHECK(csv.starts_with("# {\"levels\":[[41.16,74.202,0],["));
  CHECK(std::count(csv.begin(), csv.end(), '\n') == 4); // levels, names, two images
  CHECK(std::count(json.begin(), json.end(), '\n') == 3);
  for (const std::string& content : {json, csv}) {
    CHECK(read(content).levels() == std::vector(paper_six.begin(), paper_six.end()));
    const trace t = read_trace(content, "log"); // nobody gives the levels
    CHECK(t.levels == read(content).levels());
    CHECK(t.factor == std::vector<double>{2, 2});
    CHECK(read_trace(content + content, "joined").images() == 4);
    const level_figures other_levels[] = {{1, 50}, {2, 60}}; // for another family: the same machine
    CHECK(read_trace(content, "log", other_levels).factor == t.factor);
    CHECK(read_trace(content, "log", other_levels).levels.size() == 2);
    std::string other = content;
    other.replace(other.find("41.16"), 5, "41.15");
    CHECK_THROWS_AS(read_trace(content + other, "joined"), error);
    const std::string images = content.substr(content.find(content == csv ? "image," : "{\"image"));
    CHECK(read(images).levels().empty());
    CHECK_THROWS_AS(read_trace(images, "cut"), error);
    CHECK(read_trace(images, "cut", paper_six).images() == 2);
  }
  for (const char* wrong : {"[]", "1", "[[1,2]]", "[[1,50,0],[1,60,0]]", "[[1,\"a\",0]]", "[[-1,50,0]]"})
    CHECK_THROWS_AS(read_trace(text("{\"levels\":", wrong, "}\n", json), "log"), error);
}

TEST_CASE("files that no manager wrote are refused with the line") {
  const std::string good =
      R"({"image":0,"level":0,"latency_ms":1,"reason":"start","policy":"p","unknown":[{"x":1}],"cpu_mhz":null})";
  CHECK(read(good + "\n\n").size() == 1);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string s = good;
    return s.replace(s.find(from), from.size(), to);
  };
  for (const std::string& bad : {std::string(),
                                 std::string("{"),
                                 std::string("[]"),
                                 std::string("x"),
                                 with("\"image\":0,", ""),
                                 with("\"image\":0", "\"image\":-1"),
                                 with("\"image\":0", "\"image\":0.5"),
                                 with("\"level\":0", "\"level\":\"a\""),
                                 with("\"latency_ms\":1", "\"latency_ms\":-1"),
                                 with("\"latency_ms\":1", "\"latency_ms\":1e999"),
                                 with("\"start\"", "\"because\""),
                                 with("\"policy\":\"p\",", ""),
                                 with("\"p\"", "\"p,q\""),
                                 with("\"level\":0", "\"level\":0,\"percentile\":2"),
                                 with("\"level\":0", "\"level\":0,\"cold\":1"),
                                 good + "\n" + good,
                                 std::string(70000, ' '),
                                 std::string("image,level\n1"),
                                 std::string("image,level,latency_ms,reason,policy\n0,0,1,,p"),
                                 good + "\n" + R"({"image":1,"level":0,"latency_ms":1,"reason":"hold","policy":"q"})"})
    CHECK_THROWS_AS(read(bad), error);
  CHECK_THROWS_WITH_AS(read(good + "\n" + good), "a log line 2: expected an image after 0, got 0", error);
  CHECK_THROWS_AS(read_run_log("/nowhere"), error);
  // names that `run_log` does not take
  CHECK_THROWS_WITH_AS(read(with("\"p\"", "\"p\\n\"")), "a log line 1: expected a value for \"policy\", got \"p?\"",
                       error);
  CHECK_THROWS_WITH_AS(read(with("\"level\":0", "\"level\":0,\"state.a b\":1")),
                       "a log line 1: expected a value for \"state.a b\", got \"1\"", error);
}

} // namespace dynofa_test::runtime_run_log_io
