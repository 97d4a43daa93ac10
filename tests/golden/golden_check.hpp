#pragma once
#include "dynofa/backend/concept.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/model/load.hpp"
#include "dynofa/model/random_supernet.hpp"
#include "dynofa/report/program.hpp"

#include "golden/golden.hpp"
#include "golden/section_c.hpp"
#include <functional>
#include <map>
#include <optional>
#include <string>

// The sections of golden_check on any backend. A: generator, weights, files and extracted weights. B: logits and
// recorded blocks. C: calibration, of a backend that calibrates. F: MACs and parameters. A program of a line or two
// gives it its backends: golden_check.cpp, or onednn_check.cpp for a backend outside the tree.

namespace golden {

inline arch arch_of(const nlohmann::json& c) { return read_arch(c); }
inline std::uint64_t hex(const nlohmann::json& v) { return std::stoull(v.get<std::string>(), nullptr, 16); }

inline void check_generator(const fs::path& file, tally& t) {
  t.begin("A generator");
  const auto v = read_json(file);
  for (const auto& [name, value] : v.at("fnv1a64").items()) t.expect("fnv " + name, fnv1a64(name) == hex(value));
  for (const auto& k : v.at("key")) {
    const random_stream s(k.at("seed").get<std::uint64_t>(), k.at("name").get<std::string>());
    t.expect("key", s.key() == hex(k.at("key")));
  }
  for (const auto& u : v.at("u64")) {
    const random_stream s(u.at("seed").get<std::uint64_t>(), u.at("name").get<std::string>());
    for (std::size_t i = 0; i < u.at("values").size(); ++i)
      t.expect("u64", s.at(u.at("start").get<std::uint64_t>() + i) == hex(u.at("values")[i]));
  }
  auto floats = [&](const char* kind, auto value) {
    const auto& f = v.at(kind);
    const random_stream s(f.at("seed").get<std::uint64_t>(), f.at("name").get<std::string>());
    for (std::size_t i = 0; i < f.at("hex").size(); ++i)
      t.expect(kind, std::bit_cast<std::uint32_t>(static_cast<float>(value(s.at(i)))) == hex(f.at("hex")[i]));
  };
  floats("uniform_lo0.5", [](std::uint64_t u) { return random_stream::uniform_of(u, 0.5); });
  floats("normal_std1", [](std::uint64_t u) { return random_stream::normal_of(u, 1.0); });
  floats("normal_std0.2", [](std::uint64_t u) { return random_stream::normal_of(u, 0.2); });
  t.end();
}

/// Every tensor of the recipe comes out of our generator with the recorded checksum; the stored files hold the same.
inline void check_weights(const fs::path& dir, const nlohmann::json& recipe, const state_dict& ours, tally& t) {
  t.begin("A weights " + dir.filename().string());
  const space_description space = space_of(recipe);
  t.expect("number of tensors", recipe.at("tensors").size() == ours.size());
  std::int64_t learnable = 0;
  for (const auto& r : recipe.at("tensors")) {
    const std::string name = r.at("name");
    const auto found = ours.find(name);
    if (found == ours.end()) {
      t.expect(name + " exists", false);
      continue;
    }
    const auto extents = r.at("shape").get<std::vector<std::int64_t>>();
    t.expect(name + " shape", found->second.shape == shape_type(extents.begin(), extents.end()));
    if (found->second.type == dtype::f32)
      t.expect(name + " checksum", crc32(found->second.to_floats()) == r.at("crc32").get<std::string>());
    if (!name.ends_with("running_mean") && !name.ends_with("running_var") && found->second.type == dtype::f32)
      learnable += found->second.size();
  }
  if (recipe.contains("parameters"))
    t.expect("learnable scalars", learnable == recipe.at("parameters").get<std::int64_t>());
  const auto units = units_of(space);
  if (is_resnet(recipe)) {
    std::vector<std::size_t> identities;
    for (const block& b : units)
      if (b.kind == block_kind::bottleneck && b.residual) identities.push_back(static_cast<std::size_t>(b.gene));
    t.expect("shortcuts", identities == recipe.at("identity_shortcut_blocks").get<std::vector<std::size_t>>());
  }
  for (const auto& r : recipe.value("blocks", nlohmann::json::array())) {
    const block& b = units.at(r.at("index").get<std::size_t>() + 1); // the stem is first
    t.expect("block geometry", b.in_channels == r.at("in") && b.out_channels == r.at("out") &&
                                   b.stride == r.at("stride") && b.residual == r.at("shortcut") &&
                                   (b.se_channels > 0) == r.at("se") &&
                                   dynofa::detail::word_of(b.act) == r.at("act").get<std::string>());
  }
  for (const auto& entry : fs::directory_iterator(dir)) {
    const std::string file = entry.path().filename().string();
    if (!file.starts_with("supernet")) continue;
    const state_dict read = with_canonical_keys(read_checkpoint(entry.path()).tensors, file);
    t.expect(file + " has every tensor", read.size() == ours.size());
    for (const auto& [key, tensor] : read) {
      const auto same = ours.find(key);
      t.expect(file + ' ' + key, same != ours.end() && same->second.shape == tensor.shape &&
                                     std::equal(tensor.bytes.begin(), tensor.bytes.end(), same->second.bytes.begin(),
                                                same->second.bytes.end()));
    }
    make_supernet(space, read);
  }
  t.end();
}

/// Extracted weights: slices bit for bit, transformed kernels within 1e-6.
inline void check_extracted(const fs::path& dir, const supernet& net, const nlohmann::json& forward, tally& t) {
  t.begin("A extracted " + dir.filename().string());
  for (const auto& c : forward.at("cases")) {
    std::ostringstream name;
    name << "subnet_case_" << std::setw(2) << std::setfill('0') << c.at("case").get<int>() << ".safetensors";
    if (!fs::exists(dir / name.str())) continue;
    const plan p = make_plan(net.space, arch_of(c));
    const state_dict ours = extract(net, p),
                     theirs = with_canonical_keys(read_checkpoint(dir / name.str()).tensors, name.str());
    t.expect("number of tensors", ours.size() == theirs.size());
    for (const auto& [key, tensor] : theirs) {
      const auto found = ours.find(key);
      if (found == ours.end() || found->second.shape != tensor.shape) {
        t.expect(key, false);
      } else if (key.ends_with("depth_conv.conv.weight")) {
        const auto a = found->second.to_floats(), b = tensor.to_floats();
        t.check(key, worst(a, b, 1e-6));
      } else {
        t.expect(key, std::equal(tensor.bytes.begin(), tensor.bytes.end(), found->second.bytes.begin(),
                                 found->second.bytes.end()));
      }
    }
    const supernet back = load_extracted(dir / name.str(), net.space, arch_of(c));
    t.expect("read back as a network", back.only.has_value() && back.weights.back() == net.weights.back());
  }
  t.end();
}

/// Every recorded block as a named map of a whole run, where the backend gives maps.
template <class Session>
void check_maps(Session& session, const plan& whole, std::span<const float> image, const nlohmann::json& c,
                double tolerance, tally& t, const std::string& key) {
  const network_layout& layout = session.net().layout;
  std::vector<std::size_t> named;
  std::vector<std::string> names;
  for (std::size_t b = 0; b < whole.pooling_block(); ++b) {
    const std::string name = layout.key(whole.blocks[b], layout.number_in(whole.blocks, b));
    if (c.at("blocks").contains(name)) named.push_back(b), names.push_back(name);
  }
  if constexpr (requires(typename Session::level l) { session.map(l, 0); }) {
    const plan p = with_maps(whole, named);
    const auto level = session.bind(p, fold(session.net(), p, stored_statistics(session.net(), p)));
    session.run(level, image);
    const random_stream sample_stream(0, "sample");
    for (std::size_t i = 0; i < named.size(); ++i) {
      const auto& stored = c.at("blocks").at(names[i]);
      if (!stored.contains("samples")) continue;
      const auto samples = stored.at("samples").template get<std::vector<float>>();
      std::vector<float> all; // NCHW of the whole batch
      for (std::size_t n = 0; n < static_cast<std::size_t>(p.batch); ++n) {
        const feature_map map = session.map(level, i, n);
        std::vector<float> interleaved(map.values());
        if constexpr (requires { session.backend().download(map, interleaved); })
          session.backend().download(map, interleaved);
        else
          map.copy(interleaved);
        const auto channels = static_cast<std::size_t>(map.channels);
        for (std::size_t ch = 0; ch < channels; ++ch)
          for (std::size_t v = ch; v < interleaved.size(); v += channels) all.push_back(interleaved[v]);
      }
      std::vector<float> picked;
      for (std::size_t j = 0; j < samples.size(); ++j) picked.push_back(all[sample_stream.at(j) % all.size()]);
      t.check(key + ' ' + names[i] + " as a map",
              worst(picked, samples, tolerance * stored.at("std").template get<double>()));
    }
  }
}

/// How many times what is allowed to fp32 a backend may be off. In fp16 the worst value of the data computed in half
/// precision is off by 350 times that, and with widened weights by 140: logits, beside those of doubles.
template <class Backend>
double allowance(const Backend& b) {
  if constexpr (requires { b.weights; })
    if (b.weights == "fp16") return 400;
  return 1;
}

/// Logits against the float32 and the double files, and every recorded block.
template <class Backend>
void check_forward(const fs::path& dir, const supernet_ptr& net, Backend backend, tally& t) {
  const std::string name = dir.filename().string();
  t.begin("B forward " + name);
  const auto forward = read_json(dir / "forward.json");
  const auto f32 = read_safetensors(dir / "forward_logits.safetensors").tensors;
  const auto f64 = read_safetensors(dir / "forward_logits_f64.safetensors").tensors;
  state_dict detail_tensors;
  if (fs::exists(dir / "forward_detail.safetensors"))
    detail_tensors = read_safetensors(dir / "forward_detail.safetensors").tensors;
  const double loose = allowance(backend), tolerance = loose * tolerance_of(name), tolerance_f64 = tolerance / 5;
  const std::uint64_t seed = forward.at("seed");
  const random_stream sample_stream(0, "sample");

  std::map<std::string, std::vector<float>, std::less<>> recorded; // of one image, NHWC
  std::map<std::string, std::size_t, std::less<>> channels;
  auto record = [&](std::string_view what, const auto& tensor) {
    auto& values = recorded[std::string(what)];
    values.insert(values.end(), tensor.begin(), tensor.end());
    channels[std::string(what)] = tensor.shape(2);
  };
  if constexpr (requires { backend.tap; }) backend.tap = record;
  session session(backend, net);

  for (const auto& c : forward.at("cases")) {
    const std::string key = c.at("logits").at("tensor");
    const arch a = arch_of(c);
    const int batch = c.at("batch"), r = a.r;
    const auto pixels = static_cast<std::size_t>(r * r);
    const auto nchw = input_nchw(seed, c.at("input").at("stream"), static_cast<std::size_t>(batch) * 3 * pixels);
    t.expect(key + " input checksum", crc32(nchw) == c.at("input").at("crc32").get<std::string>());
    const auto image = nchw_to_nhwc(nchw, static_cast<std::size_t>(batch), 3, pixels);

    recorded.clear();
    const plan p = make_plan(net->space, a, batch);
    if (c.contains("macs")) t.expect(key + " MACs", p.macs() == c.at("macs").template get<std::int64_t>());
    if (c.contains("params"))
      t.expect(key + " parameters", p.parameters() == c.at("params").template get<std::int64_t>());
    const auto level = session.load(a, stored_statistics(*net, p), batch);
    const auto logits = session.run(level, image);
    const double std = c.at("logits").at("std");
    t.check(key + " logits", worst(logits, f32.at(key).to_floats(), tolerance * std));
    t.check(key + " logits against double", worst(logits, f64.at(key).to_floats(), tolerance_f64 * std));
    const auto classes = static_cast<std::size_t>(net->space.classes);
    for (std::size_t n = 0; n < static_cast<std::size_t>(batch); ++n)
      if (c.at("logits").at("top1_margin")[n].get<double>() > 2 * tolerance * std)
        t.expect(key + " argmax", argmax(std::span(logits).subspan(n * classes, classes)) ==
                                      c.at("logits").at("argmax")[n].get<std::size_t>());

    if (!c.value("detail", false)) continue;
    // A backend without a tap shows its blocks one by one; what it fuses inside a block it does not show.
    if constexpr (!requires { backend.tap; }) {
      std::vector<float> in = image;
      for (std::size_t b = 0; b < p.blocks.size(); ++b) {
        std::vector<float> out(static_cast<std::size_t>(batch) * static_cast<std::size_t>(p.blocks[b].out_values()));
        session.run_block(level, b, in, out);
        const block& of = p.blocks[b];
        const std::string what = of.output == 0 ? "logits"
                                 : of.pools()   ? "pooled"
                                                : net->layout.key(of, net->layout.number_in(p.blocks, b));
        recorded[what] = out;
        channels[what] = static_cast<std::size_t>(p.blocks[b].out_channels);
        in = std::move(out);
      }
    }
    for (const auto& [what, stored] : c.at("blocks").items()) {
      const auto found = recorded.find(what);
      if (found == recorded.end()) {
        const std::string pooled = net->layout.key(p.blocks[p.pooling_block()], 0);
        t.expect(
            key + ' ' + what + " is recorded", what == pooled && !requires { backend.tap; });
        continue;
      }
      const std::size_t ch = channels[what], n = static_cast<std::size_t>(batch);
      const auto ours = nhwc_to_nchw(found->second, n, ch, found->second.size() / n / ch);
      const double scale = stored.at("std").template get<double>();
      double sum = 0, sum_abs = 0;
      for (float v : ours) sum += v, sum_abs += std::abs(v);
      const auto count = static_cast<double>(ours.size());
      t.check(key + ' ' + what + " mean",
              std::abs(sum / count - stored.at("mean").template get<double>()) / (loose * 1e-4 * scale));
      t.check(key + ' ' + what + " mean of magnitudes",
              std::abs(sum_abs / count - stored.at("mean_abs").template get<double>()) / (loose * 1e-4 * scale));
      if (stored.contains("samples")) {
        const auto samples = stored.at("samples").template get<std::vector<float>>();
        std::vector<float> picked;
        for (std::size_t j = 0; j < samples.size(); ++j) picked.push_back(ours[sample_stream.at(j) % ours.size()]);
        t.check(key + ' ' + what + " samples", worst(picked, samples, tolerance * scale));
      }
      if (const auto full = detail_tensors.find(key + '/' + what); full != detail_tensors.end())
        t.check(key + ' ' + what + " tensor", worst(ours, full->second.to_floats(), tolerance * scale));
    }
    check_maps(session, p, image, c, tolerance, t, key);
  }
  t.end();
}

inline void check_costs(const fs::path& file, tally& t) {
  t.begin("F costs");
  const auto json = read_json(file);
  for (const auto& [name, net] : json.at("nets").items()) {
    const space_description space =
        space_of({{"width_mult", std::stod(name.substr(1))}, {"n_classes", 1000}, {"bn_eps", 1e-5}});
    for (const auto& c : net.at("cases")) {
      const plan p = make_plan(space, arch_of(c));
      t.expect(name + " MACs", p.macs() == c.at("macs").get<std::int64_t>());
      t.expect(name + " parameters", p.parameters() == c.at("params").get<std::int64_t>());
    }
  }
  t.end();
}

/// Sections that need no backend: (folder, wanted sections, tally).
using more_sections = std::function<void(const fs::path&, const std::string&, tally&)>;

template <class Backend>
int run(const fs::path& dir, const std::string& sections, Backend backend, const more_sections& more) {
  std::cout << "golden data " << dir.string() << " on " << backend.name() << '\n';
  tally t;
  auto wanted = [&](char section) { return sections.find(section) != std::string::npos; };
  if (wanted('A') && fs::exists(dir / "generator_vectors.json")) check_generator(dir / "generator_vectors.json", t);
  for (const fs::path& net_dir : networks(dir)) {
    const auto recipe = read_json(net_dir / "recipe.json");
    if (!is_known(recipe)) {
      std::cout << net_dir.filename().string() << ": left out, a network of another kind\n";
      continue;
    }
    const state_dict weights = random_checkpoint(space_of(recipe), recipe.at("seed"));
    const auto net = std::make_shared<const supernet>(make_supernet(space_of(recipe), weights));
    if (wanted('A')) {
      check_weights(net_dir, recipe, weights, t);
      if (net_dir.filename().string().ends_with("tiny"))
        check_extracted(net_dir, *net, read_json(net_dir / "forward.json"), t);
    }
    if (wanted('B')) check_forward(net_dir, net, backend, t);
    if constexpr (calibrating_backend<Backend>)
      if (wanted('C') && fs::exists(net_dir / "bncalib.json")) check_calibration(net_dir, net, backend, t);
  }
  if (more) more(dir, sections, t);
  if (wanted('F') && fs::exists(dir / "macs.json")) check_costs(dir / "macs.json", t);
  return t.finish();
}

/// The whole program, for any backends: `golden_check DIR [--backend NAME] [--sections ABF]`. `pick(name, run)` returns
/// `run(backend)` for the backend of that name ("" if none was asked for), or nothing for a name it does not know;
/// `names` says which there are. The exit status: 0 where everything passed.
template <class Pick>
int check(int argc, char** argv, const std::string& names, Pick pick, const more_sections& more = {}) {
  const auto program = [&](int, char**) {
    std::string dir, name, sections = "ABCDEF";
    for (int i = 1; i < argc; ++i) {
      const std::string arg = argv[i];
      if (arg == "--backend" && i + 1 < argc)
        name = argv[++i];
      else if (arg == "--sections" && i + 1 < argc)
        sections = argv[++i];
      else if (!arg.starts_with("-") && dir.empty())
        dir = arg;
      else {
        std::cerr << "usage: golden_check DIR [--backend " << names << "] [--sections " << sections << "]\n";
        return 2;
      }
    }
    if (dir.empty()) throw error(errc::invalid_argument, "golden_check", "a folder of golden data", "none");
    const std::optional<int> status =
        pick(name, [&](auto backend) -> std::optional<int> { return run(dir, sections, backend, more); });
    if (!status) throw error(errc::invalid_argument, "golden_check", text("a backend among ", names), name);
    return *status;
  };
  return report::run_program(program, argc, argv);
}

} // namespace golden
