#pragma once
#include "dynofa/model/load.hpp"
#include "dynofa/model/supernet_io.hpp"
#include "dynofa/runtime/dynamic_network.hpp"

#include "peers.hpp"

// Table 1: how long it takes from one sub-network to the next, by each way there is.

namespace paper {

/// Times of many switches, each from another network that has just run.
struct switch_times {
  std::vector<double> ready, first_image, steady; ///< ms: until it could run; that and its first image; an image later
};

/// `count` switches in random order: `go(i)` makes network i ready, `image()` runs it.
template <class Go, class Image>
switch_times time_switches(std::size_t networks, int count, Go go, Image image) {
  switch_times times;
  random_stream random(1, "table 1");
  std::size_t at = 0;
  go(at), image();
  for (int n = 0; n < count; ++n) {
    at = (at + 1 + random.below(static_cast<std::uint32_t>(networks - 1))) % networks; // always another one
    const auto start = clock::now();
    go(at);
    times.ready.push_back(ms_since(start));
    image();
    times.first_image.push_back(ms_since(start));
    image();
    times.steady.push_back(ms_of(image));
    report::stop_if_interrupted("table 1");
  }
  return times;
}

/// Networks over one packed copy of their weights, of which a switch binds one anew from its batch norm, as systems do
/// that load it: scale and shift of every channel, computed from the statistics that lie in memory.
template <inference_backend Backend>
switch_times by_batch_norm(const Backend& backend, const supernet_ptr& net, const std::vector<plan>& plans, int count) {
  session<Backend> runner(backend, net, plans);
  std::vector<bn_statistics> statistics;
  std::vector<typename session<Backend>::level> all; // so that the workspace fits all from the start
  for (const plan& p : plans) {
    statistics.push_back(stored_statistics(*net, p));
    all.push_back(runner.bind(p, fold(*net, p, statistics.back())));
  }
  runner.prepare();
  const std::vector<float> image(image_values(224), 0.5f);
  std::vector<float> logits(plans.front().logit_values());
  typename session<Backend>::level level;
  return time_switches(
      plans.size(), count, [&](std::size_t i) { level = runner.bind(plans[i], fold(*net, plans[i], statistics[i])); },
      [&] { runner.run(level, std::span(image).first(level->plan.image_values()), logits); });
}

/// A network of its own each time: `make(i)` gives weights that hold one sub-network.
template <inference_backend Backend, class Make>
switch_times by_network(const Backend& backend, std::size_t networks, int count, Make make) {
  std::unique_ptr<session<Backend>> runner;
  typename session<Backend>::level level;
  const std::vector<float> image(image_values(224), 0.5f);
  std::vector<float> logits(1000);
  return time_switches(
      networks, count,
      [&](std::size_t i) {
        const supernet_ptr net = make(i);
        const plan p = make_plan(net->space, *net->only);
        runner = std::make_unique<session<Backend>>(backend, net, std::span(&p, 1));
        level = runner->load(p.arch);
        runner->prepare();
      },
      [&] { runner->run(level, std::span(image).first(level->plan.image_values()), logits); });
}

/// Files of extracted sub-networks, removed in the end.
class network_files {
public:
  network_files(const supernet& net, const std::vector<plan>& plans) {
    std::filesystem::create_directory(folder_);
    for (const plan& p : plans) save_checkpoint(file(files_++), extract(net, p), net.space);
  }
  network_files(const network_files&) = delete;
  network_files& operator=(const network_files&) = delete;
  ~network_files() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  std::filesystem::path file(std::size_t i) const { return folder_ / text(i, ".safetensors"); }

private:
  std::filesystem::path folder_ = std::filesystem::temp_directory_path() / text("paper_figures-", getpid());
  std::size_t files_ = 0;
};

inline std::string readable(double ms) { return ms < 0.1 ? fixed(1000 * ms, 1) + " µs" : fixed(ms) + " ms"; }

template <inference_backend Backend>
void table_1(story& s, const device<Backend>& on, const std::vector<candidate>& all) {
  const supernet_ptr& net = bench::paper_supernet();
  std::vector<plan> plans;
  family levels(net, data::imagenet_preprocessing(), {});
  int correct = 700; // made up: only the order counts
  for (const bench::network& n : paper_networks_for(on.key)) {
    plans.push_back(make_plan(net->space, n.arch));
    levels.add({n.arch, stored_statistics(*net, n.arch), {1000, correct += 10, 990}, {}});
  }
  std::vector<plan> slim;
  for (const candidate& c : all)
    if (c.system == "AutoSlim-MnasNet") slim.push_back(c.network);
  struct row {
    std::string way, reported;
    switch_times times;
  };
  std::vector<row> rows;
  report::progress bar(std::cerr, "table 1, " + on.key);
  const auto the_papers = [&](const std::string& model) {
    for (const auto& said : s.published.at("reported").at("switch"))
      if (said.at("model") == model) return text(model, ": ", said.at("time").template get<std::string>());
    return std::string();
  };
  const auto add = [&](std::string way, const std::string& model, switch_times times) {
    rows.push_back({std::move(way), the_papers(model), std::move(times)});
    bar(rows.size(), 6);
  };
  const int few = s.quick ? 3 : 30, many = s.quick ? 20 : 400;
  {
    const network_files files(*net, plans);
    add("static: the next network from its file", "", by_network(on.backend, plans.size(), few, [&](std::size_t i) {
          return std::make_shared<const supernet>(load_extracted(files.file(i), net->space, plans[i].arch));
        }));
  }
  add("static: the next network copied out of the super-network in memory", "",
      by_network(on.backend, plans.size(), few, [&](std::size_t i) {
        return std::make_shared<const supernet>(make_extracted(net->space, plans[i].arch, extract(*net, plans[i])));
      }));
  std::vector<plan> mutual; // one super-network that has all of its widths
  for (const auto& n : s.slimmable.at("networks"))
    if (const space_description& space = bench::width_by_twentieths::description; n.at("system") == "MutualNet")
      mutual.push_back(make_plan(space, bench::arch_of_width(space, n.at("width"), n.at("resolution"))));
  add("MutualNet's way: batch norm of the next width and resolution", "MutualNet-MBv2",
      by_batch_norm(on.backend, bench::seeded_supernet<bench::width_by_twentieths>(), mutual, many));
  add("AutoSlim's way: batch norm of the next channels", "AutoSlim-MnasNet",
      by_batch_norm(on.backend, bench::seeded_supernet<bench::free_mnasnet>(), slim, many));
  add("Dynamic-OFA's way: batch norm of the next sub-network", "Dynamic-OFA",
      by_batch_norm(on.backend, net, plans, many));
  {
    runtime::dynamic_network ours(on.backend, levels);
    std::vector<float> logits(1000);
    const auto half = [](int, std::span<float> image) { std::ranges::fill(image, 0.5f); };
    add("ours: all levels stay bound", "",
        time_switches(
            ours.size(), many, [&](std::size_t i) { ours.switch_to(i); }, [&] { ours.run(half, logits); }));
  }

  csv_table table({"way", "the_paper_reports", "switches", "ready_ms_median", "ready_ms_mean", "first_image_ms_median",
                   "steady_image_ms_median"});
  std::string lines = "| way | until it is ready (median) | and its first image | an image later | the paper, on "
                      "its GPU |\n|---|---|---|---|---|\n";
  for (const row& r : rows) {
    const double mean = std::accumulate(r.times.ready.begin(), r.times.ready.end(), 0.0) / double(r.times.ready.size());
    table.add(r.way, r.reported, r.times.ready.size(), median(r.times.ready), mean, median(r.times.first_image),
              median(r.times.steady));
    lines += text("| ", r.way, " | ", readable(median(r.times.ready)), " | ", readable(median(r.times.first_image)),
                  " | ", readable(median(r.times.steady)), " | ", r.reported, " |\n");
  }
  const std::string stem = "table_1_" + on.key;
  s.save(stem, table);
  s.page.add("table 1",
             text(on.name, ", ", plans.size(), " levels ([the numbers](", s.page.link(s.folder / (stem + ".csv")),
                  ")):\n\n", lines, "| static OFA: search and calibration at run time | not measured | | | ",
                  the_papers("static OFA"), " |\n"));
}

} // namespace paper
