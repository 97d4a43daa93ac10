#include "dynofa/farm/result_log.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include <algorithm>

namespace dynofa_test::farm_result_log {

using namespace dynofa;
using farm::result_log;

namespace {

const named_inputs inputs = {{"super-network", "1234"}, {"images", "5000 pictures"}};

std::string filled(const std::filesystem::path& path) {
  result_log log(path, inputs);
  for (int i = 0; i < 5; ++i) CHECK(log.add(text("task ", i), i % 3, 1.5 * i, {{"correct", 100 + i}}));
  return std::string(map_file(path).text());
}

std::string reopened(const std::filesystem::path& path, const named_inputs& with = inputs) {
  return support::sentence([&] { result_log(path, with); });
}

} // namespace

TEST_CASE("results outlive the log's object, the first of a task counts") {
  const support::scratch_folder folder;
  const auto path = folder.path() / "job.log";
  filled(path);
  result_log log(path, inputs);
  CHECK(log.size() == 5);
  REQUIRE(log.find("task 3") != nullptr);
  CHECK((*log.find("task 3"))["correct"] == 103);
  CHECK(log.find("task 9") == nullptr);
  CHECK_FALSE(log.add("task 3", 1, 1, {{"correct", 7}}));
  CHECK(log.add("task 9", 1, 1, 7.5));
  CHECK((*log.find("task 3"))["correct"] == 103);
}

TEST_CASE("whatever a killed process leaves of its last line is cut off, and the rest is there") {
  const support::scratch_folder folder;
  const auto path = folder.path() / "job.log";
  const std::string whole = filled(path);
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    support::write_text(path, whole.substr(0, cut));
    const auto lines = static_cast<std::size_t>(std::count(whole.begin(), whole.begin() + std::ptrdiff_t(cut), '\n'));
    {
      result_log log(path, inputs);
      CHECK(log.size() == (lines > 0 ? lines - 1 : 0));
      log.add("one more", 0, 0, true);
    }
    CHECK(reopened(path) == "(no error)");
  }
}

TEST_CASE("altered, foreign and newer logs are one sentence, and stay as they were") {
  const support::scratch_folder folder;
  const auto path = folder.path() / "job.log";
  const std::string whole = filled(path);
  const auto second = whole.find('\n') + 1;
  for (std::size_t at = second; at < whole.find('\n', second); ++at) {
    std::string altered = whole;
    altered[at] = altered[at] == '7' ? '8' : '7';
    support::write_text(path, altered);
    CHECK(reopened(path).find("line 2: expected a line with its checksum, got another one, or an altered line") !=
          std::string::npos);
    CHECK(map_file(path).text() == altered);
  }
  support::write_text(path, whole);
  CHECK(reopened(path, {{"super-network", "99"}, {"images", "5000 pictures"}})
            .find("super-network: expected 99, got 1234") != std::string::npos);
  support::write_text(path, "dynofa log 2 {\"inputs\":{}}\n");
  CHECK(reopened(path).find("line 1: expected a log of version 1, got \"2\"") != std::string::npos);
  for (const char* other : {"{}\n", "\n", "dynofa\n", "a shopping list", "dynofa log 1 {}\n", "dynofa log 1 [\n"}) {
    support::write_text(path, other);
    CHECK(reopened(path).find("line 1") != std::string::npos);
    CHECK(map_file(path).text() == other);
  }
  const std::string line = whole.substr(second, whole.find('\n', second) + 1 - second);
  support::write_text(path, whole.substr(0, second) + line + line);
  CHECK(reopened(path).find("line 3: expected each task once") != std::string::npos);
}

TEST_CASE("one job has a log at a time") {
  const support::scratch_folder folder;
  const result_log log(folder.path() / "job.log", inputs);
  CHECK(reopened(folder.path() / "job.log").find("expected a log that no other job has open") != std::string::npos);
  CHECK(reopened(folder.path() / "no folder" / "job.log").find("expected to write the log") != std::string::npos);
}

} // namespace dynofa_test::farm_result_log
