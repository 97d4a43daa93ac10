// ctest: threads
#include "dynofa/core/random.hpp"
#include "dynofa/runtime/process_coordinator.hpp"

#include <doctest/doctest.h>

#include <sys/mman.h>
#include <sys/wait.h>

#include "families.hpp"
#include <atomic>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace dynofa_test::runtime_process_coordinator {

using namespace dynofa;
using namespace dynofa::runtime;

namespace {

std::string fresh_name(const char* what) { return text("test-", what, "-", getpid()); }
bool exists(const std::string& name) { return access(("/dev/shm/dynofa-" + name).c_str(), F_OK) == 0; }

/// Runs `job` in a child process, which ends without destructors; returns its number.
pid_t in_child(const std::function<void()>& job) {
  const pid_t child = fork();
  if (child != 0) return child;
  job();
  _exit(0);
}
int wait_for(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}
template <class Condition>
bool soon(Condition condition) { // far above what it takes, so that a busy machine does not fail it
  for (int i = 0; i < 3000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}
/// Files in /dev/shm whose names begin with that of a segment.
[[maybe_unused]] int files(const std::string& name) {
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm"))
    found += entry.path().filename().string().starts_with("dynofa-" + name);
  return found;
}
std::map<std::string, double> fields_of(const process_coordinator::member& m) {
  std::map<std::string, double> fields;
  m.dump([&](std::string_view field, double value) { fields[std::string(field)] = value; });
  return fields;
}
void image(process_coordinator::member& m, double limit) {
  const std::size_t level = m.decide({.latency_ms = limit});
  m.observe(level, paper_six[level].latency_ms);
}

} // namespace

TEST_CASE("members of two coordinators of one name share it, and the last takes the segment along") {
  const std::string name = fresh_name("pair");
  {
    process_coordinator one(name), two(name);
    CHECK(exists(name));
    auto a = one.join(paper_six, {.first = 5});
    {
      auto b = two.join(paper_six, {.weight = 2, .first = 4});
      CHECK(one.members() == 2);
      for (int i = 0; i < 50; ++i) image(a, 70), image(b, 70);
      CHECK(a.decide({.latency_ms = 70}) == 5);
      int fields = 0;
      b.dump([&](std::string_view, double value) { fields += std::isfinite(value); });
      CHECK(fields == 8);
      CHECK(b.levels().size() == 6);
    }
    CHECK(two.members() == 1);
    CHECK(exists(name));
  }
  CHECK(!exists(name));
}

TEST_CASE("a coordinator whose segment went with its last member makes another") {
  const std::string name = fresh_name("again");
  process_coordinator device(name);
  { auto a = device.join(paper_six); }
  CHECK(!exists(name));
  auto b = device.join(paper_six);
  CHECK(exists(name));
  CHECK(process_coordinator(name).members() == 1);
}

// qemu-user passes on no death of a lock's holder, and in /proc shows a process itself as one that never started: so
// who lives and who does not is tested on real machines alone.
#ifndef DYNOFA_EMULATED
TEST_CASE("a killed process is noticed by the others' images, and its share is freed") {
  const std::string name = fresh_name("killed");
  process_coordinator device(name);
  auto a = device.join(paper_six, {.first = 5});
  const pid_t child = in_child([&] {
    process_coordinator mine(name);
    auto b = mine.join(paper_six);
    while (true) image(b, 70), std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  CHECK(soon([&] { return device.members() == 2; }));
  kill(child, SIGKILL);
  // Not waited for: a zombie is dead as well. `members()` would look itself, so: the field of the log.
  double others = 2;
  CHECK(soon([&] {
    image(a, 70);
    a.dump([&](std::string_view field, double value) {
      if (field == "members") others = value;
    });
    return others == 1;
  }));
  wait_for(child);
}

TEST_CASE("killed inside the lock, in the middle of writing: the lock passes on and the state is sound") {
  const std::string name = fresh_name("inside");
  process_coordinator device(name);
  auto a = device.join(paper_six, {.first = 3});
  for (int i = 0; i < 20; ++i) image(a, 54);
  const std::size_t level = a.decide({.latency_ms = 54});
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const pid_t child = in_child([&] {
      runtime::detail::segment_mapping segment("dynofa-" + name, {});
      const runtime::detail::segment_lock lock(*segment);
      random_stream random(seed, "inside");
      auto* bytes = reinterpret_cast<unsigned char*>(&segment->rule);
      if (seed > 0) // the bytes of one member's filter are half written
        for (std::uint32_t i = 0, at = random.below(sizeof(coordination_rule) / 2); i < 200; ++i)
          bytes[at + i] = static_cast<unsigned char>(random());
      kill(getpid(), SIGKILL);
    });
    CHECK(WIFSIGNALED(wait_for(child)));
    for (int i = 0; i < 10; ++i) image(a, 54);
    CHECK(device.takeovers() == seed + 1);
    CHECK(device.members() == 1); // it has come back if its figures were hit
    CHECK(a.decide({.latency_ms = 54}) <= level);
  }
}

TEST_CASE("a process killed at any moment while three others run") {
  const std::string name = fresh_name("chaos");
  process_coordinator device(name);
  auto a = device.join(paper_six);
  random_stream random(1, "chaos");
  for (int round = 0; round < 10; ++round) {
    std::vector<pid_t> children;
    for (int c = 0; c < 3; ++c)
      children.push_back(in_child([&] {
        process_coordinator mine(name);
        auto b = mine.join(paper_six);
        while (true) image(b, 70);
      }));
    CHECK(soon([&] { return device.members() >= 2; }));
    for (const pid_t child : children) {
      for (std::uint32_t i = random.below(2000); i > 0; --i) image(a, 70);
      kill(child, SIGKILL);
      wait_for(child);
    }
    CHECK(device.members() == 1);
    image(a, 70);
    CHECK(a.decide({.latency_ms = 70}) < paper_six.size());
  }
}
#endif

TEST_CASE("a reused process number, a stranger's container and silence are told apart") {
  const process_identity self = this_process();
  CHECK(self.pid == getpid());
  CHECK(self.start > 0);
  CHECK(alive(self));
  process_identity other = self;
  other.start += 1; // the number was given to another process
  CHECK(!alive(other));
  CHECK(!alive({.pid = 0, .start = 0, .pid_domain = 0}));
  CHECK(!alive({.pid = -1, .start = 0, .pid_domain = 0}));
  const pid_t child = in_child([] { _exit(0); });
  CHECK(soon([&] { return !alive({.pid = child, .start = 0, .pid_domain = 0}); })); // a zombie
  wait_for(child);

  const std::string name = fresh_name("silent");
  process_coordinator device(name, {.silent_ms = 50});
  auto a = device.join(paper_six), b = device.join(paper_six);
  runtime::detail::segment_mapping segment("dynofa-" + name, {});
  segment->owners[1].process.pid_domain += 1;
  CHECK(soon([&] { return device.members() == 1; }));
  image(b, 70); // it was only slow: it comes back
  CHECK(device.members() == 2);
}

TEST_CASE("a child after fork does not speak for its parent's member") {
  const std::string name = fresh_name("fork");
  process_coordinator device(name);
  std::optional<process_coordinator::member> a = device.join(paper_six);
  image(*a, 70);
  wait_for(in_child([&] {
    image(*a, 70);
    a.reset();
  }));
  CHECK(device.members() == 1);
  a.reset();
  CHECK(!exists(name));
}

TEST_CASE("what killed processes left behind is taken over, or removed on request") {
  const std::string name = fresh_name("left");
  const auto abandon = [&] {
    wait_for(in_child([&] {
      process_coordinator mine(name);
      auto b = mine.join(paper_six);
      kill(getpid(), SIGKILL);
    }));
    CHECK(exists(name));
  };
  abandon();
  {
    process_coordinator device(name);
    auto a = device.join(paper_six);
    CHECK(device.members() == 1);
    CHECK(!process_coordinator::remove(name)); // somebody lives
  }
  CHECK(!exists(name));
  abandon();
  CHECK(process_coordinator::remove(name));
  CHECK(!exists(name));
}

TEST_CASE("foreign and damaged segments are refused with a sentence, and left alone") {
  const std::string name = fresh_name("foreign"), path = "/dynofa-" + name;
  const auto with = [&](std::size_t size, mode_t mode, const std::function<void(unsigned char*)>& fill) {
    const int file = shm_open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    REQUIRE(file >= 0);
    REQUIRE(fchmod(file, mode) == 0);
    REQUIRE(ftruncate(file, static_cast<off_t>(size)) == 0);
    if (size > 0) {
      void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
      REQUIRE(at != MAP_FAILED);
      fill(static_cast<unsigned char*>(at));
      munmap(at, size);
    }
    close(file);
    CHECK_THROWS_AS(process_coordinator{name}, error);
    CHECK(exists(name));
    shm_unlink(path.c_str());
  };
  using segment = runtime::detail::coordination_memory;
  const auto nothing = [](unsigned char*) {};
  with(sizeof(segment) - 1, 0600, nothing);
  with(sizeof(segment), 0666, nothing);
  with(100, 0600, nothing);
  with(sizeof(segment), 0600, [](unsigned char* p) { std::memset(p, 0xa5, sizeof(segment)); });
  const auto with_header = [](unsigned char* p) {
    auto* s = reinterpret_cast<segment*>(p);
    s->magic = segment::right_magic;
    s->version = 1;
    s->size = sizeof(segment);
  };
  with(sizeof(segment), 0600, [&](unsigned char* p) { // the right header before noise
    random_stream random(1, "foreign");
    for (std::size_t i = 0; i < sizeof(segment); ++i) p[i] = static_cast<unsigned char>(random());
    with_header(p);
    std::memset(&reinterpret_cast<segment*>(p)->mutex, 0, sizeof(pthread_mutex_t));
  });
  with(sizeof(segment), 0600, [&](unsigned char* p) { // another version
    with_header(p);
    reinterpret_cast<segment*>(p)->version = 2;
  });
  CHECK_THROWS_AS(process_coordinator(""), error);
  CHECK_THROWS_AS(process_coordinator("../escape"), error);
  CHECK_THROWS_AS(process_coordinator(std::string(65, 'a')), error);
}

TEST_CASE("threads with members of one coordinator, which come and go") {
  const std::string name = fresh_name("threads");
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> threads;
    for (std::uint64_t t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        random_stream random(t, "shared_coordinator_test");
        for (int life = 0; life < 10; ++life) {
          process_coordinator device(name);
          auto m = device.join(paper_six);
          for (int i = 0; i < 100; ++i) {
            const std::size_t level = m.decide({.latency_ms = random.chance(0.1) ? 50.0 : 80.0});
            wrong += level >= paper_six.size();
            m.observe(level, paper_six[level].latency_ms * (1 + random.uniform()));
          }
        }
      });
  }
  CHECK(wrong == 0);
  CHECK(!exists(name));
}

#ifndef DYNOFA_EMULATED
TEST_CASE("threads join and leave one coordinator: whoever is in, is in the segment that has the name") {
  const std::string name = fresh_name("one");
  std::atomic<int> wrong = 0;
  {
    process_coordinator device(name);
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        for (int life = 0; life < 200; ++life) {
          auto m = device.join(paper_six);
          wrong += !exists(name);
          wrong += process_coordinator(name).members() == 0;
          image(m, 70);
        }
      });
  }
  CHECK(wrong == 0);
  CHECK(files(name) == 0);
}
#endif

TEST_CASE("who was taken for dead does not come back to a segment without a name") {
  const std::string name = fresh_name("back");
  process_coordinator device(name, {.silent_ms = 50});
  auto a = device.join(paper_six);
  {
    auto b = device.join(paper_six);
    runtime::detail::segment_mapping segment("dynofa-" + name, {});
    segment->owners[0].process.pid_domain += 1; // a is in another container, and silent
    CHECK(soon([&] { return device.members() == 1; }));
  }
  CHECK(!exists(name)); // b was the last one
  image(a, 70);
  CHECK(exists(name));
  CHECK(device.members() == 1);
  CHECK(process_coordinator(name).members() == 1);
}

TEST_CASE("nobody joins a segment whose file was removed by hand") {
  const std::string name = fresh_name("by-hand");
  process_coordinator device(name);
  auto a = device.join(paper_six);
  shm_unlink(("/dynofa-" + name).c_str());
  auto b = device.join(paper_six);
  CHECK(exists(name));
  CHECK(process_coordinator(name).members() == 1);
}

TEST_CASE("a process that is stopped inside the lock costs one wait, and the others go on by themselves") {
  const std::string name = fresh_name("stopped");
  process_coordinator device(name);
  auto a = device.join(paper_six, {.first = 5}), b = device.join(paper_six);
  for (int i = 0; i < 20; ++i) image(a, 70), image(b, 70);
  CHECK(a.decide({.latency_ms = 70}) == 5);
  const pid_t child = in_child([&] {
    runtime::detail::segment_mapping segment("dynofa-" + name, {});
    const runtime::detail::segment_lock lock(*segment);
    kill(getpid(), SIGSTOP);
  });
  int status = 0;
  waitpid(child, &status, WUNTRACED);
  REQUIRE(WIFSTOPPED(status));

  const auto start = std::chrono::steady_clock::now();
  std::size_t level = 5;
  for (int i = 0; i < 100; ++i) { // the device gets slower by half, and there are only their own eyes to see it
    level = a.decide({.latency_ms = 70});
    CHECK(fields_of(a).at("members") == 1);
    a.observe(level, paper_six[level].latency_ms * 1.5);
  }
  const auto took = std::chrono::steady_clock::now() - start;
  CHECK(took < std::chrono::milliseconds(500)); // 20 ms and the images themselves, on a busy machine
  CHECK(level < 5);
  CHECK(paper_six[level].latency_ms * 1.5 < 70);
  CHECK_THROWS_AS(device.join(paper_six), error); // after a second
  { const auto gone = std::move(b); }             // leaves without the lock

  kill(child, SIGCONT);
  CHECK(WIFEXITED(wait_for(child)));
  image(a, 70);
  CHECK(fields_of(a).size() == 8);
  CHECK(device.members() == 1); // that b has left is known to whoever looks
  CHECK(device.takeovers() == 0);
}

#ifndef DYNOFA_EMULATED
TEST_CASE("a process killed while it is stopped inside the lock is one that died in it") {
  const std::string name = fresh_name("stopped-killed");
  process_coordinator device(name);
  auto a = device.join(paper_six, {.first = 5});
  const pid_t child = in_child([&] {
    runtime::detail::segment_mapping segment("dynofa-" + name, {});
    const runtime::detail::segment_lock lock(*segment);
    kill(getpid(), SIGSTOP);
  });
  int status = 0;
  waitpid(child, &status, WUNTRACED);
  for (int i = 0; i < 10; ++i) image(a, 70);
  kill(child, SIGKILL);
  wait_for(child);
  image(a, 70);
  CHECK(device.takeovers() == 1);
  CHECK(fields_of(a).size() == 8);
}
#endif

TEST_CASE("whoever is told the fields may ask the member, and the others do not wait") {
  const std::string name = fresh_name("told");
  process_coordinator device(name);
  auto a = device.join(paper_six, {.first = 5}), b = device.join(paper_six);
  const auto start = std::chrono::steady_clock::now();
  a.dump([&](std::string_view, double) { image(a, 70), image(b, 70); });
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(500));
}

#ifndef DYNOFA_EMULATED
TEST_CASE("a process killed while it makes the segment leaves nothing that disturbs") {
  const std::string name = fresh_name("making");
  random_stream random(1, "making");
  for (int i = 0; i < 40; ++i) {
    const pid_t child = in_child([&] {
      while (true) {
        process_coordinator mine(name);
        const auto b = mine.join(paper_six);
      }
    });
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(4000)));
    kill(child, SIGKILL);
    wait_for(child);
    process_coordinator device(name);
    auto a = device.join(paper_six);
    image(a, 70);
    CHECK(device.members() == 1);
  }
  CHECK(files(name) == 0);
}
#endif

} // namespace dynofa_test::runtime_process_coordinator
