// ctest: --calib pictures/calib --images pictures/images --out 06_family --quick
// needs: pictures
// expect: 1\. profile.*3\. calibrate.* levels, .* dominated ones dropped
// installed as: dynofa-build
#include "dynofa/core/output.hpp"
#include "dynofa/family/measure.hpp"
#include "dynofa/model/round_to_half.hpp"
#include "dynofa/report/program.hpp"

#include <CLI/CLI.hpp>

#include "own_checkpoint.hpp"
#include "support/guided_search.hpp"
#include <iostream>

// From a super-network and two folders of images to a family file: profile this device, learn what accuracy depends on,
// search, calibrate, evaluate, keep the front of what was *measured*. Every stage keeps what it has done in --out,
// together with what it was done from: a second run goes on behind the last one, or says which input has changed.
//
//   06_build_a_family --calib DIR --images DIR --out my_family        about twelve minutes on two cores

static int program(int argc, char** argv) {
  using namespace dynofa;
  CLI::App app("Builds a family of sub-networks for this device");
  std::string asset = DYNOFA_ASSETS "/tinyimagenet_w1.2.safetensors", calib, images, out = "family", given;
  int threads = hardware_threads(), rounds = 3;
  std::size_t levels = 18, samples = 80;
  double seconds = 60;
  bool quick = false, skip_bad = false, int8 = false;
  checkpoint_options told;
  const auto haste = [&] { quick = true, samples = 10, rounds = 1, levels = 4, seconds = 3; };
  app.add_flag_callback("--quick", haste, "less of everything, to see how it goes; other options go before");
  app.add_option("--supernet", asset, "checkpoint: what 03_load_a_checkpoint wrote, or any other with what it reads");
  told.add_to(app);
  app.add_option("--calib", calib, "training images for the batch norm, a folder per class")->required();
  app.add_option("--images", images, "labelled images that decide, a folder per class")->required();
  app.add_option("--out", out, "folder for the family and what each stage left");
  app.add_option("--measured", given, "JSON lines of architectures with top1, instead of a sample");
  app.add_option("--samples", samples, "architectures measured before the first search");
  app.add_option("--rounds", rounds, "times that measured candidates guide the search");
  app.add_option("--levels", levels, "candidates of the last round")->check(CLI::PositiveNumber);
  app.add_option("--profile-seconds", seconds, "time for the profile")->check(CLI::PositiveNumber);
  app.add_flag("--int8", int8, "levels may be int8 too: each format is profiled, and the front is of both");
  app.add_flag("--skip-bad-pictures", skip_bad, "leave out those that cannot be read, and count them");
  app.add_option("--threads", threads, "cores to use")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);

  // What this is made from. Files of an earlier run with other inputs are refused here, before any work.
  report::catch_interrupts();
  const std::filesystem::path folder = out;
  make_folder(folder);
  require_writable(folder / "family.dynofa");
  image_classifier c = told.classifier(asset);
  c.net = std::make_shared<const supernet>(round_to_half(*c.net)); // what the file will hold is what is measured
  data::image_folder calibration = c.images(calib), validation = c.images(images);
  if (skip_bad) calibration.skip_bad_pictures(), validation.skip_bad_pictures();
  const named_inputs sources = inputs_of(c, calibration, validation, threads);
  const backend::cpu one_core, all_cores{.threads = threads};
  guided_search search(
      {.samples = samples, .rounds = rounds, .levels = levels, .quick = quick}, c.net->space, folder, sources, given,
      {{"device", device_name(one_core)}, {"profile seconds", text(seconds)}, {"int8", int8 ? "yes" : "no"}});
  const calibration_options full{.images = 2000, .threads = threads};
  named_inputs made_from = sources;
  made_from["calibration"] = text(std::min<std::size_t>(calibration.size(), std::size_t(full.images)),
                                  " training images, batches of ", full.batch, ", variance within batches");
  family f = resume_family(folder / "candidates.dynofa", made_from, c);

  std::cout << "1. profile" << std::endl;
  std::vector<format_latency> formats = {profile_in("", c.net, seconds, folder)};
  if (int8) formats.push_back(profile_in("int8", c.net, seconds, folder));

  std::cout << "2. learn what accuracy depends on, and search with it" << std::endl;
  validation.keep_decoded(std::size_t{1} << 30);
  accuracy_setup<backend::cpu> setup{c.net,      c.preprocessing, decoded_source(calibration, c.preprocessing, threads),
                                     validation, all_cores,       one_core};
  for (const auto& in : formats) // once for all measurements
    if (!in.format.empty()) setup.packed.by_name[in.format] = one_core.pack(c.net, in.format);
  const auto chosen = search.run(setup, formats, threads);

  std::cout << "3. calibrate and evaluate the candidates" << std::endl;
  for (const auto& one : chosen) {
    if (f.find(one.arch, one.format)) continue;
    std::cout << "  " << one.arch << (one.format.empty() ? "" : " in " + one.format) << std::endl;
    f.add(measure_with_bars(in_format(setup, one.format, full), std::span(&one.arch, 1), full).front());
    save_family(folder / "candidates.dynofa", f);
  }

  std::cout << "4. the front of measured values" << std::endl;
  const std::string device = remeasure_latencies(f, one_core, quick ? 5 : 60);
  const std::size_t dropped = f.keep_front(device);
  made_from["origin"] = c.origin, made_from["made_by"] = "examples/06_build_a_family";
  set_provenance(f, made_from);
  set_table(f, formats.front().table);
  f.sections.erase("inputs");
  save_family(folder / "family.dynofa", f);
  const std::string table = markdown_table(f, device);
  std::cout << device << "\n" << table << f.levels().size() << " levels, " << dropped << " dominated ones dropped\n";
  replace_file(folder / "report.md", text("# A family on ", device, "\n\n", table));
  draw_family(f, device, search.measured(), formats.front().model, folder);
  warn_of_overlap(f, validation.size());
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
