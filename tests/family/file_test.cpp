// ctest: heavy
// ctest: files
#include "dynofa/backend/reference.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/family/design_sections.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/family/file.inl" // its own parts, where the rest is linked
#include "dynofa/model/round_to_half.hpp"
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include "support/some_ranges.hpp"
#include "support/tiny_space.hpp"
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <limits>
#include <set>
#include <thread>
#include <tuple>

namespace dynofa_test::family_file {

using namespace dynofa;
using namespace support;

namespace {

family_level some_level(const supernet& net, std::uint64_t seed, int correct) {
  random_stream random(seed, "level");
  family_level level;
  level.arch = random_arch(net.space, random);
  level.statistics = stored_statistics(net, level.arch);
  for (float& v : level.statistics.mean) v += static_cast<float>(random.normal());
  level.accuracy = {5000, correct, correct + 500};
  level.latency = {{"here", 1.0 + correct / 1000.0, 2.5, 0.75, 100}, {"there", 0.1, 0.2, 0.05, 3}};
  return level;
}

family some_family(std::size_t levels, supernet_ptr net = tiny_supernet()) {
  std::vector<data::class_name> names;
  for (int c = 0; c < net->space.classes; ++c) names.push_back({text("n", c), text("\"näme\" ", c)});
  family f(net, data::exact_preprocessing(), names);
  set_provenance(f, {{"origin", "a test: \"dynofa.checksum\":\"00000000000000000000000000000000\""}});
  for (std::size_t i = 0; i < levels; ++i) f.add(some_level(*net, 100 + i, static_cast<int>(1000 + 50 * i)));
  return f;
}

bool same_weights(const supernet& a, const supernet& b) {
  std::vector<std::vector<float>> values;
  visit_weights(a, [&](const std::string&, const std::vector<float>& v, const shape_type&) { values.push_back(v); });
  bool same = a.space == b.space && a.hash() == b.hash();
  std::size_t i = 0;
  visit_weights(
      b, [&](const std::string&, const std::vector<float>& v, const shape_type&) { same = same && values[i++] == v; });
  return same;
}

/// The file's bytes with a checksum that fits them.
std::string sealed(std::string content) {
  using namespace detail::family_io;
  const auto at = content.find(checksum_key) + checksum_key.size();
  const auto sum = checksum(std::as_bytes(std::span(content)), at, {});
  return content.replace(at, checksum_digits, sum);
}
std::string replaced(std::string s, std::string_view from, std::string_view to) {
  const auto at = s.find(from);
  REQUIRE(at != s.npos);
  return s.replace(at, from.size(), to);
}

} // namespace

TEST_CASE("a family comes back as it was") {
  const scratch_folder folder;
  const auto path = folder.path() / "f.dynofa";
  family f = some_family(3);
  latency_table table;
  table.device = "a device";
  table.resolutions[32]["Conv"] = {milliseconds(1.25), milliseconds(0.5), 7, {}, {}, {}, false, false};
  std::string key;
  for_each_operation(make_plan(f.space(), smallest(f.space())), 0, [&](const operation_key& k) { key = to_string(k); });
  table.resolutions[32] = {{key, {milliseconds(1.25), milliseconds(0.5), 7, {}, {}, {}, false, false}}};
  set_table(f, table);
  const auto layout = feature_layout::of_space(f.space());
  predictor_network network{{std::vector<float>(layout.size() * 4, 0.25f), std::vector<float>(4, 0.5f)},
                            {std::vector<float>(4, 1.0f), std::vector<float>(1, 0.125f)}};
  set_predictor(f, accuracy_predictor(f.space(), layout, {network}));
  save_family(path, f);
  CHECK(folder.files() == 1);

  const family g = load_family(path);
  CHECK(same_weights(*f.net(), *g.net()));
  CHECK(g.levels() == f.levels());
  CHECK(g.classes() == f.classes());
  CHECK(g.preprocessing() == f.preprocessing());
  CHECK(provenance_of(g) == provenance_of(f));
  CHECK(table_of(g) == table);
  REQUIRE(predictor_of(g));
  CHECK((*predictor_of(g))(f.levels()[0].arch) == (*predictor_of(f))(f.levels()[0].arch));

  const auto logits = [](const family& from) {
    session e(backend::reference{}, from.net());
    auto level = e.load(from.levels()[1].arch, from.levels()[1].statistics);
    const std::size_t r = from.levels()[1].arch.r;
    return e.run(level, std::vector<float>(r * r * 3, 0.25f));
  };
  CHECK(logits(f) == logits(g));
  const std::string first = read_text(path);
  save_family(path, g);
  CHECK(read_text(path) == first); // the same family, the same bytes
}

TEST_CASE("the committed family is read and written back to the same bytes") {
  const scratch_folder folder;
  const std::filesystem::path committed = DYNOFA_SOURCE_DIR "/examples/assets/tinyimagenet.dynofa";
  save_family(folder.path() / "f", load_family(committed));
  CHECK(read_text(folder.path() / "f") == read_text(committed));
}

TEST_CASE("ranges come back bit for bit, with the level that has them") {
  const scratch_folder folder;
  const auto path = folder.path() / "f.dynofa";
  const family without = some_family(3);
  family with(without.net(), without.preprocessing(), without.classes());
  for (family_level level : without.levels()) {
    if (with.levels().size() != 1) level.statistics.ranges = some_ranges(make_plan(with.space(), level.arch));
    with.add(level);
  }
  save_family(path, with);
  const family back = load_family(path);
  CHECK(back.levels() == with.levels());
  CHECK(back.levels()[1].statistics.ranges.empty());
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(with.level_bytes(i) ==
          without.level_bytes(i) + (i == 1 ? 0 : 8 * range_count(make_plan(with.space(), with.levels()[i].arch))));
  const std::string first = read_text(path);
  save_family(path, back);
  CHECK(read_text(path) == first);
}

TEST_CASE("ranges that cannot be are one sentence, in memory and in a file") {
  const scratch_folder folder;
  const auto path = folder.path() / "f.dynofa";
  const auto net = tiny_supernet();
  family f = some_family(0, net);
  family_level level = some_level(*net, 5, 100);
  const activation_ranges good = level.statistics.ranges = some_ranges(make_plan(net->space, level.arch));
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity(), -1.f}) {
    level.statistics.ranges.high[3] = bad;
    CHECK(sentence([&] {
            f.add(level);
          }).starts_with("family level, activation range 3: expected low ≤ 0 ≤ high and a finite width, got "));
  }
  level.statistics.ranges = good;
  level.statistics.ranges.low.pop_back();
  CHECK(sentence([&] { f.add(level); }).find("activation ranges for") != std::string::npos);
  level.statistics.ranges = good;
  f.add(level);
  save_family(path, f);
  const std::string whole = read_text(path);
  const auto said = [](const std::string& content) {
    const std::string fitting = sealed(content);
    return sentence([&] { (void)read_family({std::as_bytes(std::span(fitting)), nullptr}, "file"); });
  };
  CHECK(said(whole) == "(no error)");

  // a file that another program wrote
  const file_bytes bytes{std::as_bytes(std::span(whole)), nullptr};
  const auto with_value = [&](float value) {
    const tensor t = read_safetensors(bytes, "f").tensors.at("level.0.range_high");
    std::string altered = whole;
    std::memcpy(&altered[static_cast<std::size_t>(t.bytes.data() - bytes.bytes.data()) + 3 * sizeof value], &value,
                sizeof value);
    return said(altered);
  };
  CHECK(with_value(std::nanf("")) == "file, tensor level.0.range_high: expected finite values, got NaN at [3]");
  CHECK(with_value(-1) ==
        text("file, family level, activation range 3: expected low ≤ 0 ≤ high and a finite width, got ", good.low[3],
             " to -1"));
  CHECK(said(replaced(whole, "level.0.range_low", "level.0.range_lov")) ==
        "file: expected a tensor level.0.range_low, got none");
  CHECK(said(replaced(whole, "level.0.range_high", "level.0.range_hihg")) ==
        "file: expected a tensor level.0.range_high, got none");
  const std::string shape = text("[", good.low.size(), "]"), other = text("[", good.low.size() - 1, "]");
  const auto at = whole.find(shape, whole.find("\"level.0.range_low\""));
  REQUIRE(at != whole.npos);
  CHECK(said(std::string(whole).replace(at, shape.size(), other)) != "(no error)"); // the bytes do not fit
}

TEST_CASE("halves where they lose nothing") {
  const scratch_folder folder;
  const auto net = tiny_supernet();
  const auto half = std::make_shared<const supernet>(round_to_half(*net));
  save_family(folder.path() / "full", some_family(0, net));
  save_family(folder.path() / "half", some_family(0, half));
  CHECK(same_weights(*load_family(folder.path() / "half").net(), *half));
  CHECK_FALSE(same_weights(*net, *half));
  const auto size = [&](const char* name) { return double(std::filesystem::file_size(folder.path() / name)); };
  CHECK(size("half") < 0.75 * size("full"));

  std::vector<std::uint16_t> every(65536); // the branch-free widening against core/half.hpp
  for (std::size_t i = 0; i < every.size(); ++i) every[i] = static_cast<std::uint16_t>(i);
  std::vector<float> wide;
  detail::family_io::widen(tensor::of(std::span<const std::uint16_t>(every), {65536}, dtype::f16), wide);
  std::size_t different = 0;
  for (std::size_t i = 0; i < every.size(); ++i)
    different += std::bit_cast<std::uint32_t>(wide[i]) != std::bit_cast<std::uint32_t>(half_to_float(every[i]));
  CHECK(different == 0);
}

TEST_CASE("what one more level costs") {
  const scratch_folder folder;
  const family one = some_family(1), two = some_family(2);
  save_family(folder.path() / "1", one);
  save_family(folder.path() / "2", two);
  const auto more = std::filesystem::file_size(folder.path() / "2") - std::filesystem::file_size(folder.path() / "1");
  std::size_t added = two.level_bytes(0) + two.level_bytes(1) - one.level_bytes(0);
  CHECK(more >= added);
  CHECK(more < added + 1500);

  using space = search_space<ofa_mobilenet_v3, width<1.2>, depth<2, 3, 4>, expand<3, 4, 6>, kernel<3, 5, 7>,
                             resolution<160, 224>>;
  const auto bytes = [](const arch& a) { return 8 * make_plan(space::description, a).norm_values(); };
  MESSAGE("w1.2: " << bytes(smallest(space::description)) << " to " << bytes(largest(space::description))
                   << " bytes per level");
  CHECK(bytes(smallest(space::description)) == 58'176);
  CHECK(bytes(largest(space::description)) == 203'328);
}

TEST_CASE("truncated, altered and newer files are refused with a sentence") {
  const scratch_folder folder;
  const auto path = folder.path() / "f.dynofa";
  save_family(path, some_family(2));
  const std::string whole = read_text(path);
  const auto says = [&](const std::string& content) {
    support::write_text(path, content);
    return sentence([&] { (void)load_family(path); });
  };
  CHECK(says(whole) == "(no error)");
  CHECK(says(sealed(whole)) == "(no error)");
  for (std::size_t size : {std::size_t(0), std::size_t(7), std::size_t(100), whole.size() / 2, whole.size() - 1}) {
    CAPTURE(size);
    CHECK(says(whole.substr(0, size)).starts_with(path.string() + ": expected "));
  }
  CHECK(says(whole + "x").find("trailing") != std::string::npos);
  random_stream random(1, "bytes");
  for (int n = 0; n < 200; ++n) { // any byte, any bit
    std::string altered = whole;
    altered[random.below(static_cast<std::uint32_t>(whole.size()))] ^= static_cast<char>(1 << random.below(8));
    CHECK(says(altered) != "(no error)");
  }
  std::string altered = whole;
  altered.back() = static_cast<char>(altered.back() ^ 1);
  CHECK(says(altered).find("the file was altered") != std::string::npos);
  CHECK(says(sealed(replaced(whole, "\"dynofa.family\":\"1\"", "\"dynofa.family\":\"2\""))) ==
        text(path.string(), ": expected a family file of format 1, got \"2\""));
  CHECK(says(sealed(replaced(whole, "\\\"correct\\\":1000", "\\\"correct\\\":9000")))
            .find("0 ≤ correct ≤ correct of five ≤ images") != std::string::npos);
  CHECK(says(sealed(replaced(whole, "level.1.mean", "level.7.mean"))).find("a tensor level.1.mean") !=
        std::string::npos);
}

TEST_CASE("a value that is infinite or NaN is refused with tensor and index, written or read") {
  const scratch_folder folder;
  const auto path = folder.path() / "f.dynofa";
  const auto with = [&](bool as_halves, auto change) {
    supernet net = as_halves ? round_to_half(*tiny_supernet()) : *tiny_supernet();
    change(net);
    return some_family(2, std::make_shared<const supernet>(std::move(net)));
  };
  const auto infinite =
      with(false, [](supernet& net) { net.weights.front()[30] = -std::numeric_limits<float>::infinity(); });
  CHECK(sentence([&] { save_family(path, infinite); }) ==
        path.string() + ", tensor supernet.stem: expected finite values, got -inf at [1, 0, 1, 0]");
  CHECK(folder.files() == 0);

  // a file that another program wrote
  std::set<dtype> types;
  for (const bool as_halves : {false, true}) {
    save_family(path, with(as_halves, [](supernet&) {}));
    const std::string whole = read_text(path);
    const file_bytes bytes{std::as_bytes(std::span(whole)), nullptr};
    for (const auto& [name, value, place] :
         {std::tuple("supernet.stem", 30, "[1, 0, 1, 0]"), std::tuple("supernet.block.0.norm0.var", 2, "[2]"),
          std::tuple("supernet.classifier", 257, "[1, 1]"), std::tuple("level.1.mean", 7, "[7]")})
      for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
        const tensor t = read_safetensors(bytes, "f").tensors.at(name);
        types.insert(t.type);
        const auto at = static_cast<std::size_t>(t.bytes.data() - bytes.bytes.data()) +
                        static_cast<std::size_t>(value) * size_of(t.type);
        std::string altered = whole;
        const std::uint16_t half = float_to_half(bad);
        std::memcpy(&altered[at], t.type == dtype::f16 ? static_cast<const void*>(&half) : &bad, size_of(t.type));
        altered = sealed(altered);
        CHECK(sentence([&] {
                read_family({std::as_bytes(std::span(altered)), nullptr}, "f");
              }) == text("f, tensor ", name, ": expected finite values, got ", shown(bad), " at ", place));
      }
  }
  CHECK(types.size() == 2); // halves and floats
  family f = some_family(1);
  auto level = some_level(*f.net(), 7, 10);
  level.statistics.var[3] = std::nanf("");
  CHECK(sentence([&] { f.add(level); })
            .find("family level, first_conv.bn, channel 3: expected a finite mean, a finite "
                  "variance of at least 0, got ") == 0);
  CHECK(f.levels().size() == 1);
}

TEST_CASE("200 interrupted writes: the old file or the new one") {
  const scratch_folder folder;
  const auto path = folder.path() / "f.dynofa", other = folder.path() / "new.dynofa";
  const family before = some_family(2), after = some_family(4);
  save_family(other, after);
  const std::string new_bytes = read_text(other);
  std::filesystem::remove(other);
  save_family(path, before);
  const std::string old_bytes = read_text(path);
  random_stream random(5, "faults");
  int old_seen = 0, new_seen = 0, clean_refusals = 0;
  for (int trial = 0; trial < 200; ++trial) {
    support::write_text(path, old_bytes);
    const int kind = trial % 3;
    const auto limit = random.below(static_cast<std::uint32_t>(new_bytes.size() * 3 / 2));
    const auto delay = std::chrono::microseconds(random.below(25'000));
    const pid_t child = ::fork();
    if (child == 0) {
      if (kind < 2) { // the disk is full after `limit` bytes: an error (0), or the process is killed right there (1)
        const rlimit most{limit, limit};
        ::signal(SIGXFSZ, kind == 0 ? SIG_IGN : SIG_DFL);
        const rlimit no_core{0, 0};
        ::setrlimit(RLIMIT_CORE, &no_core);
        ::setrlimit(RLIMIT_FSIZE, &most);
      }
      try {
        save_family(path, after);
      } catch (const error& e) {
        ::_exit(e.code() == errc::io ? 2 : 3);
      }
      ::_exit(0);
    }
    REQUIRE(child > 0);
    if (kind == 2) {
      std::this_thread::sleep_for(delay);
      ::kill(child, SIGKILL);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE_FALSE((WIFEXITED(status) && WEXITSTATUS(status) == 3));
    const std::string now = read_text(path);
    REQUIRE((now == old_bytes || now == new_bytes));
    (now == old_bytes ? old_seen : new_seen) += 1;
    REQUIRE(load_family(path).levels().size() == (now == old_bytes ? 2 : 4));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) REQUIRE(now == new_bytes);
    if (kind == 0 && WEXITSTATUS(status) == 2) {
      ++clean_refusals;
      REQUIRE(folder.files() == 1); // no temporary file left
    }
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) // a killed writer cannot clean up
      if (entry.path() != path) std::filesystem::remove(entry.path());
  }
  MESSAGE(old_seen << " times the old file, " << new_seen << " times the new one, " << clean_refusals
                   << " times an error");
  CHECK(old_seen > 50);
  CHECK(new_seen > 20);
  CHECK(clean_refusals > 20);
}

} // namespace dynofa_test::family_file
