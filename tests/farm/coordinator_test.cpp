// ctest: threads
#include "dynofa/farm/coordinator.hpp"
#include "dynofa/farm/thread_transport.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include <atomic>
#include <set>
#include <thread>

namespace dynofa_test::farm_coordinator {

using namespace dynofa;
using namespace dynofa::farm;
using nlohmann::json;

namespace {

using work_list = std::vector<std::function<json(const task&)>>;

std::vector<task> squares(int n) {
  std::vector<task> tasks;
  for (int i = 0; i < n; ++i) tasks.push_back({text("square ", i), i});
  return tasks;
}
json square(const task& t) { return t.input.get<int>() * t.input.get<int>(); }
bool right(const std::vector<json>& results) {
  for (std::size_t i = 0; i < results.size(); ++i)
    if (results[i] != i * i) return false;
  return !results.empty();
}

/// A farm whose worker w runs `work[w − 1]` and is of kind `kinds[w − 1]`; `job` gets the coordinator. What a worker
/// throws that is no exception takes it away.
template <class Job>
void with_farm(result_log& log, const work_list& work, const Job& job, coordinator_options options = {},
               const std::vector<std::string>& kinds = {}) {
  auto members = thread_transport::group(static_cast<int>(work.size()) + 1);
  std::vector<std::thread> threads;
  for (std::size_t w = 0; w < work.size(); ++w)
    threads.emplace_back([&, w, own = std::move(members[w + 1])]() mutable {
      thread_transport mine = std::move(own); // gone when this function ends
      try {
        serve(mine, work[w], kinds.empty() ? "" : kinds[w]);
      } catch (const int&) {
      }
    });
  const auto join = [&] {
    for (auto& t : threads) t.join();
  };
  coordinator c(members[0], log, square, std::move(options));
  try {
    job(c);
  } catch (...) {
    c.stop(), join();
    throw;
  }
  c.stop(), join();
}

struct setting {
  support::scratch_folder folder;
  result_log log{folder.path() / "job.log", {}};
};

} // namespace

TEST_CASE("results come in the tasks' order, whoever does them, and nothing is done twice") {
  for (const std::size_t workers : {0u, 1u, 2u, 8u}) {
    setting s;
    std::atomic<int> calls{0};
    const work_list work(workers, [&](const task& t) { return ++calls, square(t); });
    with_farm(s.log, work, [&](auto& c) {
      CHECK(right(c.map(squares(100))));
      const int first = calls;
      CHECK(right(c.map(squares(100)))); // they stand in the log
      CHECK(calls == first);
      CHECK(right(c.map(squares(120))));
      std::size_t done = 0;
      for (const worker_account& a : c.accounts()) done += a.tasks;
      CHECK(done >= 120);
    });
    CHECK(s.log.size() == 120);
  }
}

TEST_CASE("a lost worker's task goes to another, and with the last one the job ends in a sentence") {
  setting s;
  const auto dies = [](const task& t) -> json {
    if (t.input.get<int>() >= 3) throw 1;
    return square(t);
  };
  const auto steady = [](const task& t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1)); // so that the others get some
    return square(t);
  };
  with_farm(s.log, {dies, steady, dies}, [&](auto& c) {
    CHECK(right(c.map(squares(50))));
    CHECK(c.accounts()[1].lost);
    CHECK(c.accounts()[3].lost);
  });
  setting alone;
  CHECK(support::sentence([&] {
          with_farm(alone.log, {dies, dies}, [](auto& c) { c.map(squares(50)); });
        }).find("farm: expected a worker for 4") != std::string::npos);
  CHECK(alone.log.size() >= 1); // what was done is kept
  with_farm(alone.log, {square}, [](auto& c) { CHECK(right(c.map(squares(50)))); });
}

TEST_CASE("a task that fails goes to another worker, and ends the job when it fails everywhere") {
  setting s;
  std::atomic<int> failures{0};
  const auto fails = [&](const task& t) -> json {
    ++failures;
    throw error(errc::io, t.identity, "a disk", "a full one");
  };
  const auto said = support::sentence([&] { with_farm(s.log, {fails, fails}, [](auto& c) { c.map(squares(5)); }); });
  CHECK(said.find("expected a result within 3 attempts, got square ") != std::string::npos);
  CHECK(said.find("expected a disk, got a full one") != std::string::npos);
  CHECK(failures >= 3);
  failures = 0;
  const auto once = [&](const task& t) -> json { return failures == 0 ? fails(t) : square(t); };
  with_farm(s.log, {once, square}, [](auto& c) { CHECK(right(c.map(squares(50)))); });
}

TEST_CASE("tasks for a kind of worker go to that kind alone") {
  setting s;
  std::mutex mutex;
  std::set<std::string> seen[2];
  const auto as = [&](int w) {
    return [&, w](const task& t) {
      const std::lock_guard lock(mutex);
      seen[w].insert(t.identity);
      return square(t);
    };
  };
  auto tasks = squares(40);
  for (std::size_t i = 0; i < 10; ++i) tasks[i].wants = "board A";
  with_farm(s.log, {as(0), as(1)}, [&](auto& c) { CHECK(right(c.map(tasks))); }, {}, {"board A", "board B"});
  for (int i = 0; i < 10; ++i) {
    CHECK(seen[0].contains(text("square ", i)));
    CHECK_FALSE(seen[1].contains(text("square ", i)));
  }
  setting none;
  CHECK(support::sentence([&] {
          with_farm(none.log, {as(0)}, [&](auto& c) { c.map(tasks); }, {}, {"board C"});
        }).find("expected a worker of kind \"board A\", got none") != std::string::npos);
}

TEST_CASE("a slow worker's last task is given out once more, and the first result counts") {
  setting s;
  std::atomic<bool> over{false};
  std::atomic<int> slow{0};
  const auto never = [&](const task& t) {
    ++slow;
    while (!over) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return square(t);
  };
  const auto steady = [&](const task& t) {
    while (slow == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return square(t);
  };
  with_farm(s.log, {never, steady}, [&](auto& c) {
    CHECK(right(c.map(squares(20))));
    over = true;
  });
  CHECK(slow == 1);
  CHECK(s.log.size() == 20);
}

TEST_CASE("a stop is a sentence, and what was done stands in the log") {
  setting s;
  coordinator_options options;
  options.progress = [](std::size_t done, std::size_t) { return done < 7; };
  CHECK(support::sentence([&] {
          with_farm(
              s.log, {square}, [](auto& c) { c.map(squares(20)); }, options);
        }) == "farm: expected to do every task, got a stop after 7 of 20");
  CHECK(s.log.size() == 7);
}

} // namespace dynofa_test::farm_coordinator
