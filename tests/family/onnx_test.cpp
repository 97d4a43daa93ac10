#include "dynofa/backend/reference.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/family/onnx.hpp"
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/tiny_space.hpp"
#include <cstdlib>

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

struct field {
  std::uint64_t number, wire, value;
  std::string_view bytes;
};
/// The fields of a message; fails the test for anything that is not one.
std::vector<field> fields(std::string_view s) {
  const auto varint = [&] {
    std::uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
      REQUIRE_FALSE(s.empty());
      const auto byte = static_cast<unsigned char>(s[0]);
      s.remove_prefix(1);
      v |= std::uint64_t(byte & 0x7F) << shift;
      if (byte < 0x80) return v;
    }
  };
  std::vector<field> out;
  while (!s.empty()) {
    const auto key = varint();
    field f{key >> 3, key & 7, 0, {}};
    if (f.wire == 0) {
      f.value = varint();
    } else {
      const auto size = f.wire == 5 ? 4 : varint();
      REQUIRE((f.wire == 2 || f.wire == 5));
      REQUIRE(size <= s.size());
      f.bytes = s.substr(0, size);
      s.remove_prefix(size);
    }
    out.push_back(f);
  }
  return out;
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
  const char* dir = std::getenv("DYNOFA_ONNXRUNTIME_DIR");
  if (!dir || !*dir) {
    MESSAGE("skipped: DYNOFA_ONNXRUNTIME_DIR names no folder with node_modules/onnxruntime-node");
    return;
  }
  const scratch_folder folder;
  write_text(folder.path() / "run.js", script);
  random_stream random(4, "onnx");
  std::vector<std::pair<supernet_ptr, arch>> levels;
  for (const supernet_ptr& net : {tiny_supernet(), tiny_proxyless()}) {
    levels.emplace_back(net, smallest(net->space)), levels.emplace_back(net, largest(net->space));
    for (int i = 0; i < 4; ++i) levels.emplace_back(net, random_arch(net->space, random));
  }
  double worst = 0;
  for (const auto& [net, a] : levels) {
    const std::size_t r = a.r;
    std::vector<float> nhwc(r * r * 3), nchw(nhwc.size()), logits(10);
    for (float& v : nhwc) v = static_cast<float>(random.normal());
    for (std::size_t i = 0; i < nhwc.size(); ++i) nchw[i % 3 * r * r + i / 3] = nhwc[i];
    session e(backend::reference{}, net);
    const auto statistics = stored_statistics(*net, a);
    auto level = e.load(a, statistics);
    const auto ours = e.run(level, nhwc);
    export_onnx(folder.path() / "level.onnx", *net, a, statistics);
    write_text(folder.path() / "in", {reinterpret_cast<const char*>(nchw.data()), nchw.size() * 4});
    const std::string f = folder.path().string();
    const std::string command =
        text("node '", f, "/run.js' '", dir, "' '", f, "/level.onnx' '", f, "/in' ", r, " '", f, "/out'");
    REQUIRE(std::system(command.c_str()) == 0);
    const std::string out = read_text(folder.path() / "out");
    REQUIRE(out.size() == logits.size() * 4);
    std::memcpy(logits.data(), out.data(), out.size());
    double mean = 0, square = 0;
    for (float v : ours) mean += v / 10.0;
    for (float v : ours) square += (v - mean) * (v - mean) / 10;
    for (std::size_t c = 0; c < logits.size(); ++c)
      worst = std::max(worst, std::abs(double(logits[c]) - ours[c]) / std::sqrt(square));
  }
  MESSAGE("largest difference over " << levels.size() << " levels: " << worst << " standard deviations of the logits");
  CHECK(worst < 1e-4);
}

} // namespace dynofa_test::family_onnx
