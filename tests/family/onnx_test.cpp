#include "dynofa/backend/reference.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/family/onnx.hpp"
#include "dynofa/space/sampling.hpp"
#include "dynofa/testing/networks.hpp"

#include <doctest/doctest.h>

#include "support/onnx_model.hpp"
#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include "support/tiny_space.hpp"
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

namespace dynofa_test::family_onnx {

using namespace dynofa;
using namespace support;

namespace {

// node, run in DYNOFA_ONNXRUNTIME_DIR: MODEL INPUT(floats) R OUTPUT(floats)
constexpr const char* script = R"js(
const { createRequire } = require('module'), fs = require('fs');
const [dir, model, input, r, output] = process.argv.slice(2);
const ort = createRequire(dir + '/x.js')('onnxruntime-node');
(async () => {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, graphOptimizationLevel: 'all' });
  const bytes = fs.readFileSync(input), data = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const result = await session.run({ image: new ort.Tensor('float32', data, [1, 3, +r, +r]) });
  fs.writeFileSync(output, Buffer.from(result.logits.data.buffer, result.logits.data.byteOffset, result.logits.data.length * 4));
})().catch(e => { console.error(e); process.exit(1); });
)js";

/// A level with the ranges of one image, and what the integer rule makes of that.
struct byte_level {
  supernet_ptr net;
  bn_statistics statistics;
  conformance::truth judged;

  byte_level(supernet_ptr of, const arch& a)
      : net{std::move(of)}
      , statistics{stored_statistics(*net, a)}
      , judged{conformance::truth::in_bytes(net, make_plan(net->space, a))} {
    statistics.ranges = judged.norms.ranges;
  }
  const arch& of() const { return judged.of.arch; }
  std::string exported() const { return to_onnx(*net, of(), statistics, 0, onnx_format::int8); }
  /// Judges it again, after its statistics were changed.
  void judge() {
    const plan p = judged.of;
    judged = conformance::truth(net, p, fold(*net, p, statistics), backend::reference_int8{});
  }
  /// Of what a reader of the export computes.
  double difference(std::span<const float> logits) const {
    const double d = conformance::difference(logits, judged.logits());
    return std::isnan(d) ? 1e9 : d;
  }
};

std::vector<float> to_nchw(std::span<const float> nhwc) {
  std::vector<float> nchw(nhwc.size());
  for (std::size_t i = 0; i < nhwc.size(); ++i) nchw[i % 3 * (nhwc.size() / 3) + i / 3] = nhwc[i];
  return nchw;
}

/// Levels of every kind that int8 knows. Then such with what may be but seldom is: channels that are always zero, lows
/// below zero behind ReLU, negative scales of batch norm, scales of zero and nearly so.
std::vector<byte_level> byte_levels() {
  std::vector<byte_level> levels;
  space_description every_block = conformance::every_block();
  every_block.resolutions = {32};
  auto odd = random_supernet(every_block, 3);
  for (norm_parameters& n : odd.norms)
    for (std::size_t c = 0; c < n.weight.size(); c += 3) n.weight[c] = c % 2 ? 0 : -n.weight[c];
  const auto every = std::make_shared<const supernet>(random_supernet(every_block, 3));
  for (const supernet_ptr& net : {every, supernet_ptr(std::make_shared<const supernet>(std::move(odd)))})
    for (std::size_t first = 0; first < 3; ++first)
      levels.emplace_back(net, conformance::varied_arch(net->space, 32, first));
  for (const supernet_ptr& net : {tiny_supernet(), tiny_proxyless()})
    levels.emplace_back(net, smallest(net->space)), levels.emplace_back(net, smallest(net->space));
  for (std::size_t i = 0; i < levels.size(); i += 3) {
    bn_statistics& s = levels[i].statistics;
    for (std::size_t v = 0; v < s.ranges.low.size(); ++v) {
      if (v % 11 == 3) s.ranges.low[v] = s.ranges.high[v] = 0;
      if (v % 7 == 1) s.ranges.low[v] -= 0.1f * (s.ranges.high[v] + 0.01f);
    }
    levels[i].judge();
  }
  for (std::size_t i = 1; i < levels.size(); i += 3) {
    bn_statistics& s = levels[i].statistics;
    for (std::size_t v = 0; v < s.var.size(); v += 13) s.var[v] = v % 2 ? 1e20f : 1e38f;
    levels[i].judge();
  }
  return levels;
}

/// Runs an export of one image of r × r in ONNX Runtime.
std::vector<float> in_onnx_runtime(const scratch_folder& folder, const char* dir, const std::string& model,
                                   std::span<const float> nchw, int r) {
  const std::string f = folder.path().string();
  write_text(folder.path() / "run.js", script);
  write_text(folder.path() / "level.onnx", model);
  write_text(folder.path() / "in", {reinterpret_cast<const char*>(nchw.data()), nchw.size() * 4});
  const std::string command =
      text("node '", f, "/run.js' '", dir, "' '", f, "/level.onnx' '", f, "/in' ", r, " '", f, "/out'");
  REQUIRE(std::system(command.c_str()) == 0);
  const std::string out = read_text(folder.path() / "out");
  std::vector<float> logits(10);
  REQUIRE(out.size() == logits.size() * 4);
  std::memcpy(logits.data(), out.data(), out.size());
  return logits;
}
const char* onnx_runtime() {
  const char* dir = std::getenv("DYNOFA_ONNXRUNTIME_DIR");
  if (dir && *dir) return dir;
  MESSAGE("skipped: DYNOFA_ONNXRUNTIME_DIR names no folder with node_modules/onnxruntime-node");
  return nullptr;
}

} // namespace

TEST_CASE("the wire format of numbers, floats, texts and messages") {
  detail::protobuf_writer inner, m;
  inner.integer(1, -1);
  m.integer(1, 150).string(2, "testing").real(3, 1.0f).message(4, inner); // the first two from protobuf's own manual
  CHECK(m.bytes() == std::string("\x08\x96\x01\x12\x07testing\x1d\x00\x00\x80\x3f\x22\x0b\x08"
                                 "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                                 30));
}

TEST_CASE("an exported level holds its own weights and no others") {
  const auto net = tiny_supernet();
  random_stream random(3, "onnx");
  const arch a = random_arch(net->space, random);
  const plan p = make_plan(net->space, a);
  const std::string model = to_onnx(*net, a, stored_statistics(*net, p));
  std::int64_t weights = 0;
  std::set<std::string> made{"image"};
  std::string graph;
  for (const auto& f : fields(model))
    if (f.number == 7) graph = f.bytes;
  for (const auto& f : fields(graph)) {
    if (f.number != 5) continue;
    std::int64_t extent = 1, bytes = 0;
    for (const auto& t : fields(f.bytes)) {
      if (t.number == 1) extent *= static_cast<std::int64_t>(t.value);
      if (t.number == 8) CHECK(made.insert(std::string(t.bytes)).second);
      if (t.number == 9) bytes = static_cast<std::int64_t>(t.bytes.size());
    }
    CHECK(bytes == 4 * extent);
    weights += extent;
  }
  // a folded batch norm leaves one bias per channel of its weight and bias
  CHECK(weights == p.parameters() - p.norm_values());
  for (const auto& f : fields(graph)) {
    if (f.number != 1) continue;
    for (const auto& n : fields(f.bytes)) { // every input was made before
      if (n.number == 1) CHECK(made.contains(std::string(n.bytes)));
      if (n.number == 2) CHECK(made.insert(std::string(n.bytes)).second);
    }
  }
  CHECK(made.contains("logits"));
}

TEST_CASE("ONNX Runtime gives our logits") {
  const char* const dir = onnx_runtime();
  if (!dir) return;
  const scratch_folder folder;
  random_stream random(4, "onnx");
  std::vector<std::pair<supernet_ptr, arch>> levels;
  for (const supernet_ptr& net : {tiny_supernet(), tiny_proxyless()}) {
    levels.emplace_back(net, smallest(net->space)), levels.emplace_back(net, largest(net->space));
    for (int i = 0; i < 4; ++i) levels.emplace_back(net, random_arch(net->space, random));
  }
  double worst = 0;
  for (const auto& [net, a] : levels) {
    const std::size_t r = a.r;
    std::vector<float> nhwc(r * r * 3);
    for (float& v : nhwc) v = static_cast<float>(random.normal());
    session e(backend::reference{}, net);
    const auto statistics = stored_statistics(*net, a);
    auto level = e.load(a, statistics);
    const auto ours = e.run(level, nhwc);
    const auto logits = in_onnx_runtime(folder, dir, to_onnx(*net, a, statistics), to_nchw(nhwc), a.r);
    double mean = 0, square = 0;
    for (float v : ours) mean += v / 10.0;
    for (float v : ours) square += (v - mean) * (v - mean) / 10;
    for (std::size_t c = 0; c < logits.size(); ++c)
      worst = std::max(worst, std::abs(double(logits[c]) - ours[c]) / std::sqrt(square));
  }
  MESSAGE("largest difference over " << levels.size() << " levels: " << worst << " standard deviations of the logits");
  CHECK(worst < 1e-4);
}

TEST_CASE("an int8 export multiplies the bytes of the integer rule") {
  for (const byte_level& level : byte_levels()) {
    const onnx_model model(level.exported());
    const plan& p = level.judged.of;
    std::size_t found = 0;
    for (std::size_t i = 0; i < p.blocks.size(); ++i) {
      const block& b = p.blocks[i];
      const bool wide = b.kind == block_kind::inverted_residual;
      for (const auto& [role, name] :
           {std::pair(weight_role::expand, "expand.weight"), std::pair(weight_role::depthwise, "depthwise.weight"),
            std::pair(weight_role::se_reduce, "se.reduce.weight"),
            std::pair(weight_role::se_expand, "se.expand.weight"),
            std::pair(weight_role::output, wide ? "project.weight" : "conv.weight"),
            std::pair(weight_role::output, "weight")}) {
        const auto array = level.net->layout.find(b, role);
        const auto codes = model.constants.find(text("b", i, '.', name, ".codes"));
        if (!array || codes == model.constants.end()) continue;
        ++found;
        CHECK(codes->second.type == onnx_type::signed_bytes);
        const byte_rows rows(level.net->weights[*array], level.net->layout.weights[*array].extent_in(b));
        const std::size_t columns = rows.codes.size() / rows.steps.size();
        REQUIRE(codes->second.values.size() == rows.codes.size());
        for (std::size_t o = 0; o < rows.steps.size(); ++o) { // as they are, for a negative batch norm reversed, or 0
          int equal = 0, reversed = 0, zero = 0;
          for (std::size_t c = o * columns; c < (o + 1) * columns; ++c) {
            const int ours = rows.codes[c], theirs = static_cast<int>(codes->second.values[c]);
            equal += theirs == ours, reversed += theirs == -ours, zero += theirs == 0;
          }
          CHECK(std::max({equal, reversed, zero}) == static_cast<int>(columns));
        }
      }
    }
    CHECK(found >= p.blocks.size());
  }
}

TEST_CASE("what an int8 export says is the integer rule") {
  // A sum near the middle of two codes may be rounded either way, and such a code moves logits by percents in a network
  // of random weights. Where none falls so, logits agree as floats do.
  int exact = 0, all = 0;
  double worst = 0;
  for (const byte_level& level : byte_levels()) {
    const double d = level.difference(onnx_model(level.exported()).run(to_nchw(level.judged.images()), level.of().r));
    worst = std::max(worst, d);
    exact += d < 1e-5, ++all;
  }
  MESSAGE(exact << " of " << all << " levels to 1e-5, all to " << worst << " of the logits' root mean square");
  CHECK(exact * 3 >= all * 2);
  CHECK(worst < 0.1);
}

TEST_CASE("no pair with a step per channel stands where ONNX Runtime would make an integer convolution") {
  int per_channel = 0, integer = 0;
  for (const byte_level& level : byte_levels()) {
    const onnx_model model(level.exported());
    const auto maker = [&](const std::string& output) {
      const auto at = std::ranges::find(model.nodes, output, &onnx_node::name);
      return at == model.nodes.end() ? nullptr : &*at;
    };
    for (const onnx_node& q : model.nodes) {
      if (q.op != "QuantizeLinear") continue;
      per_channel += q.numbers.contains("axis") ? 1 : 0;
      const onnx_node* conv = maker(q.inputs[0]);
      const auto readers = [&](const std::string& output) {
        return std::ranges::count_if(model.nodes,
                                     [&](const onnx_node& n) { return std::ranges::count(n.inputs, output) > 0; });
      };
      while (conv && (conv->op == "Relu" || conv->op == "Clip") && readers(conv->name) == 1)
        conv = maker(conv->inputs[0]);
      if (!conv || conv->op != "Conv" || readers(conv->name) > 1) continue;
      const onnx_node* const in = maker(conv->inputs[0]);
      if (!in || in->op != "DequantizeLinear") continue;
      CHECK_FALSE(q.numbers.contains("axis"));
      CHECK_FALSE(in->numbers.contains("axis"));
      ++integer;
    }
  }
  CHECK(per_channel > 0);
  CHECK(integer > 0);
}

TEST_CASE("an int8 export wants activation ranges, and says so in one sentence") {
  const auto said = [](const supernet& net, const bn_statistics& s) {
    return support::sentence([&] { to_onnx(net, smallest(net.space), s, 0, onnx_format::int8); });
  };
  const auto net = tiny_supernet(), resnet = tiny_resnet();
  CHECK(said(*net, stored_statistics(*net, smallest(net->space))).find("activation ranges, as record_ranges makes") !=
        std::string::npos);
  CHECK(said(*resnet, stored_statistics(*resnet, smallest(resnet->space))).find("one of all channels") !=
        std::string::npos);
  bn_statistics few = byte_level(net, smallest(net->space)).statistics;
  few.ranges.low.pop_back();
  CHECK(said(*net, few).find("lows and") != std::string::npos);
}

TEST_CASE("activation ranges change nothing in an fp32 export") {
  const byte_level level(tiny_supernet(), smallest(tiny_supernet()->space));
  CHECK(to_onnx(*level.net, level.of(), level.statistics) ==
        to_onnx(*level.net, level.of(), stored_statistics(*level.net, level.of())));
}

TEST_CASE("ONNX Runtime runs int8 levels, its roundings apart") {
  const char* const dir = onnx_runtime();
  if (!dir) return;
  const scratch_folder folder;
  double worst = 0;
  const auto levels = byte_levels();
  for (const byte_level& level : levels)
    worst = std::max(worst, level.difference(in_onnx_runtime(folder, dir, level.exported(),
                                                             to_nchw(level.judged.images()), level.of().r)));
  MESSAGE("largest difference over " << levels.size() << " levels: " << worst << " of the logits' root mean square");
  CHECK(worst < 0.1);
}

} // namespace dynofa_test::family_onnx
