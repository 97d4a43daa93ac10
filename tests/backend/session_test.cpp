#include "dynofa/backend/reference.hpp"
#include "dynofa/backend/session.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/tiny_space.hpp"
#include <vector>

namespace dynofa_test::backend_session {

using namespace dynofa;
using support::sentence;

namespace {

/// Counts what reaches it: an illegal architecture must not.
struct counting : backend::reference {
  std::shared_ptr<int> binds = std::make_shared<int>(0);
  bound bind(std::shared_ptr<const packed> weights, const plan& p, scale_shift norms) const {
    ++*binds;
    return backend::reference::bind(std::move(weights), p, std::move(norms));
  }
};

} // namespace

TEST_CASE("an illegal architecture never reaches a backend") {
  counting backend;
  session runner(backend, support::tiny_supernet());
  const space_description& space = runner.net().space;
  struct fault {
    void (*spoil)(arch&);
    const char* sentence;
  };
  const fault faults[] = {
      {[](arch& a) { a.ks[4] = 9; }, "architecture field ks[4]: expected one of 3, 5, 7 (stage 2), got 9"},
      {[](arch& a) { a.e[19] = 5; }, "architecture field e[19]: expected one of 3, 4, 6 (stage 5), got 5"},
      {[](arch& a) { a.d[2] = 0; }, "architecture field d[2]: expected one of 2, 3, 4 (stage 3), got 0"},
      {[](arch& a) { a.r = 33; }, "architecture field r: expected one of 32, 48, 64, got 33"},
      {[](arch& a) { a.ks.resize(19); }, "architecture field ks: expected 20 values, got 19 values"},
      {[](arch& a) { a.d.push_back(2); }, "architecture field d: expected 5 values, got 6 values"},
  };
  for (const fault& f : faults) {
    arch a = largest(space);
    f.spoil(a);
    CHECK(sentence([&] { runner.load(a); }) == f.sentence);
    CHECK(sentence([&] { runner.load(a, bn_statistics{}); }) == f.sentence);
  }
  CHECK(*backend.binds == 0);
  runner.load(largest(space));
  CHECK(*backend.binds == 1);
}

TEST_CASE("a batch is its images one by one") {
  session runner(backend::reference{}, support::tiny_supernet());
  random_stream random(5);
  const arch a = smallest(runner.net().space);
  const plan p = make_plan(runner.net().space, a);
  std::vector<float> images(3 * 32 * 32 * 3);
  for (float& v : images) v = static_cast<float>(random.normal());
  auto batch = runner.load(a, stored_statistics(runner.net(), p), 3), single = runner.load(a);
  const auto all = runner.run(batch, images);
  for (std::size_t n = 0; n < 3; ++n) {
    const auto one = runner.run(single, std::span(images).subspan(n * 3072, 3072));
    CHECK(std::equal(one.begin(), one.end(), all.begin() + static_cast<std::ptrdiff_t>(10 * n)));
  }
}

TEST_CASE("levels of one session do not disturb each other") {
  session runner(backend::reference{}, support::tiny_supernet());
  const std::vector<float> image(64 * 64 * 3, 0.3f), small_image(32 * 32 * 3, 0.3f);
  auto small = runner.load(smallest(runner.net().space));
  const auto before = runner.run(small, small_image);
  auto large = runner.load(largest(runner.net().space));
  runner.run(large, image);
  CHECK(runner.run(small, small_image) == before);
}

TEST_CASE("what a caller can get wrong is one sentence") {
  const supernet_ptr net = support::tiny_supernet();
  session runner(backend::reference{}, net), other(backend::reference{}, net, runner.packed());
  const arch a = smallest(net->space);
  const auto level = runner.load(a), foreign = other.load(a);
  const std::vector<float> image(32 * 32 * 3, 0.3f);
  std::vector<float> logits(10);
  CHECK(sentence([&] { runner.run(level, std::span(image).first(3071), logits); }) ==
        "session, image: expected 3072 values, got 3071");
  CHECK(sentence([&] { runner.run(level, image, std::span(logits).first(9)); }) ==
        "session, logits: expected 10 values, got 9");
  CHECK(sentence([&] { runner.run(foreign, image, logits); }) ==
        "session: expected a level of its own, got one of another session");
  CHECK(sentence([&] { runner.run({}, image, logits); }) == "session: expected a level of its own, got none");
  std::vector<float> out(16 * 16 * 8);
  CHECK(sentence([&] { runner.run_block(level, 99, image, out); }) ==
        text("session: expected a block below ", level->plan.blocks.size(), ", got 99"));
  CHECK(sentence([&] { runner.run_block(level, 0, image, std::span(out).first(5)); }) ==
        "session, output: expected 2048 values, got 5");
  CHECK(sentence([&] { runner.time_block(level, 0, 0); }) == "session, repeats: expected at least 1, got 0");
  CHECK(sentence([&] { runner.time_run(foreign, 1); }) ==
        "session: expected a level of its own, got one of another session");
  CHECK(sentence([&] { runner.bind(level->plan, {}); }) == text("reference backend bind: expected ",
                                                                level->plan.norm_values(), " scales and shifts for ", a,
                                                                ", got 0 scales and 0 shifts"));
  CHECK(sentence([] { session(backend::reference{}, nullptr); }) == "session: expected a super-network, got none");
  CHECK(sentence([&] { session(backend::reference{}, support::tiny_supernet(8), runner.packed()); }) ==
        "session: expected weights packed from its super-network, got those of another one");
  runner.run(level, image, logits); // and it goes on as before
  CHECK(runner.run(level, image) == logits);
}

TEST_CASE("a session packs each number format once, when a level wants it, and a backend that knows none says so") {
  struct formats : backend::reference {
    using backend::reference::pack;
    std::shared_ptr<std::vector<std::string>> asked = std::make_shared<std::vector<std::string>>();
    std::string format_name() const { return "plain"; }
    std::shared_ptr<const packed> pack(const supernet_ptr& net, const std::string& format) const {
      asked->push_back(format);
      if (format != "small") throw error(errc::invalid_argument, "formats", "plain or small", format);
      return backend::reference::pack(net);
    }
  };
  const auto net = support::tiny_supernet();
  const arch a = smallest(net->space);
  const auto statistics = stored_statistics(*net, a);
  const formats backend;
  session runner(backend, net, packed_formats<formats>{});
  CHECK(runner.all_packed().by_name.empty());
  for (int i = 0; i < 2; ++i) runner.load(a, statistics, 1, "small"), runner.load(a, statistics, 1, "plain");
  CHECK(*backend.asked == std::vector<std::string>{"small"}); // "plain" is its own
  CHECK(runner.packed("plain") == runner.packed());
  CHECK(runner.all_packed().bytes() == 2 * runner.packed()->bytes());
  CHECK(sentence([&] { runner.load(a, statistics, 1, "odd"); }) == "formats: expected plain or small, got odd");
  CHECK(runner.all_packed().by_name.size() == 2);
  session shares(backend, net, runner.all_packed());
  shares.load(a, statistics, 1, "small");
  CHECK(backend.asked->size() == 2); // small and odd

  CHECK(sentence([&] { session(backend::reference{}, net).load(a, statistics, 1, "int8"); }) ==
        text("number format: expected a backend that packs \"int8\", or no level in it, got ",
             backend::reference{}.name()));
}

TEST_CASE("a session keeps its workspace while levels fit it, and forgets levels that nobody holds") {
  struct counts {
    int workspaces = 0;
    std::size_t plans = 0;
  };
  struct counted : backend::reference {
    std::shared_ptr<counts> seen = std::make_shared<counts>();
    workspace make_workspace(std::span<const plan> plans) const {
      ++seen->workspaces, seen->plans = plans.size();
      return backend::reference::make_workspace(plans);
    }
    bool fits(const workspace& space, const plan& p) const {
      return backend::reference::make_workspace(std::span(&p, 1)).in.size() <= space.in.size();
    }
  };
  const counted backend;
  session runner(backend, support::tiny_supernet());
  const auto large = runner.load(largest(runner.net().space));
  const std::vector<float> image(64 * 64 * 3, 0.3f), small_image(32 * 32 * 3, 0.3f);
  CHECK(backend.seen->workspaces == 0);
  runner.run(large, image);
  CHECK(backend.seen->workspaces == 1);
  for (int i = 0; i < 3; ++i) runner.run(runner.load(smallest(runner.net().space)), small_image);
  CHECK(backend.seen->workspaces == 1);
  runner.load(largest(runner.net().space), stored_statistics(runner.net(), large->plan), 4); // forgotten at once
  runner.run(large, image);
  CHECK(backend.seen->workspaces == 2);
  CHECK(backend.seen->plans == 1);
}

TEST_CASE("levels that come and go settle on one workspace, and only the level that runs is prepared") {
  struct room {
    std::size_t image, channels; // as a device has buffers: each architecture needs most of another one
  };
  struct counted : backend::reference {
    struct workspace : backend::reference::workspace {
      room has{0, 0};
    };
    struct counts {
      int workspaces = 0, prepared = 0;
    };
    std::shared_ptr<counts> seen = std::make_shared<counts>();
    static room wanted(const plan& p) { return {p.image_values(), static_cast<std::size_t>(p.blocks[3].mid_channels)}; }
    workspace make_workspace(std::span<const plan> plans) const {
      ++seen->workspaces;
      workspace made{backend::reference::make_workspace(plans)};
      for (const plan& p : plans)
        made.has = {std::max(made.has.image, wanted(p).image), std::max(made.has.channels, wanted(p).channels)};
      return made;
    }
    bool fits(const workspace& space, const plan& p) const {
      return wanted(p).image <= space.has.image && wanted(p).channels <= space.has.channels;
    }
    void prepare(bound&, const workspace&) const { ++seen->prepared; }
  };
  const counted backend;
  session runner(backend, support::tiny_supernet());
  arch wide = largest(runner.net().space), tall = smallest(runner.net().space);
  wide.r = 32, tall.r = 64;
  for (int i = 0; i < 5; ++i)
    for (const arch& a : {wide, tall}) {
      const auto level = runner.load(a); // as a search measures: one after the other
      runner.run(level, std::vector<float>(level->plan.image_values(), 0.3f));
    }
  CHECK(backend.seen->workspaces == 2);
  CHECK(backend.seen->prepared == 0);
  const auto one = runner.load(wide), other = runner.load(tall);
  runner.prepare();
  CHECK(backend.seen->prepared == 2);
  CHECK(backend.seen->workspaces == 2);
}

TEST_CASE("the largest logit is the answer, NaN is none") {
  const float nan = std::nanf(""), infinity = std::numeric_limits<float>::infinity();
  CHECK(argmax(std::vector<float>{1, 3, 3, 2}) == 1);
  CHECK(argmax(std::vector<float>{-infinity, -2, infinity}) == 2);
  CHECK(argmax(std::vector<float>{nan, 1, 2}) == 3);
  CHECK(argmax(std::vector<float>{1, 2, nan}) == 3);
  CHECK(argmax(std::vector<float>{nan}) == 1);
}

} // namespace dynofa_test::backend_session
