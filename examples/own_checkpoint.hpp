#pragma once
#include "dynofa/calibrate/classifier.hpp"
#include "dynofa/data/load_class_names.hpp"
#include "dynofa/model/guess_space.hpp"
#include "dynofa/model/load.hpp"
#include "dynofa/space/ofa_space.hpp"

#include <CLI/CLI.hpp>

#include <unistd.h>

#include "spaces.hpp"
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

/// A checkpoint, and what a file of weights alone does not say.
struct own_checkpoint {
  dynofa::checkpoint file;
  dynofa::state_dict tensors; ///< under canonical keys
  dynofa::space_description space;
  dynofa::data::preprocessing preprocessing;
  std::vector<dynofa::data::class_name> classes; ///< none if nobody told
};

/// How a user says what a checkpoint is. A safetensors file of example 03 says it all by itself.
struct checkpoint_options {
  std::string space, weights, class_names;
  dynofa::ofa_choices choices;
  bool exact = false, yes = false;

  void add_to(CLI::App& app) {
    options_.push_back(app.add_option("--width", choices.width, "width multiplier of once-for-all's MobileNetV3"));
    const auto add = [&](const char* name, auto& value, const char* what) {
      options_.push_back(app.add_option(name, value, what)->delimiter(',')->allow_extra_args(false));
    };
    add("--classes", choices.classes, "number of classes");
    add("--resolutions", choices.resolutions, "image sizes it was trained for, as 160,192,224");
    add("--depths", choices.depths, "blocks of a stage on offer, as 2,3,4");
    add("--expands", choices.expands, "expand ratios on offer, as 3,4,6");
    add("--kernels", choices.kernels, "kernel sizes on offer, as 3,5,7");
    app.add_option("--space", space, "instead: w1.0, w1.2, proxyless, resnet50, tinyimagenet or a JSON file")
        ->excludes(options_.front());
    app.add_flag("--yes", yes, "agree to what is guessed of the space");
    app.add_option("--weights", weights, "of several sets of weights in the file the one of this name");
    app.add_option("--class-names", class_names, "a folder per class, a text with a line each or JSON");
    app.add_flag("--exact-resize", exact, "images were resized to exactly r x r (default: ImageNet's resize and crop)");
  }

  /// Reads a checkpoint of any format and prints what it found.
  own_checkpoint load(const std::string& path) const {
    using namespace dynofa;
    own_checkpoint own;
    own.file = read_checkpoint(path, weights);
    std::cout << path << ": " << own.file.format << ", " << own.file.tensors.size() << " tensors\n";
    auto& notes = own.file.notes;
    if (!notes.weights.empty()) std::cout << "  weights: " << notes.weights << '\n';
    for (const auto& other : notes.others) std::cout << "  not these: " << other << " (--weights NAME takes another)\n";
    own.tensors = with_canonical_keys(own.file.tensors, path, &notes.left_out);
    for (const auto& what : notes.left_out) std::cout << "  left out: " << what << '\n';

    const auto metadata = [&](const char* key) {
      const auto found = own.file.metadata.find(key);
      return found == own.file.metadata.end() ? nullptr : &found->second;
    };
    const auto json = [&](const std::string& source, const char* name) {
      return detail::parse_bounded(source, path + ' ' + name, 16u << 20);
    };
    if (!class_names.empty())
      own.classes = data::load_class_names(class_names);
    else if (const auto* stored = metadata("dynofa.classes"))
      own.classes = data::read_class_names(json(*stored, "dynofa.classes"), path + " dynofa.classes");
    own.space = space_of(own, path, metadata("dynofa.space"));
    if (!own.classes.empty() && own.classes.size() != std::size_t(own.space.classes))
      throw error(errc::mismatch, class_names.empty() ? path : class_names,
                  text("names of ", own.space.classes, " classes"), text(own.classes.size()));
    own.preprocessing = exact ? data::exact_preprocessing() : data::imagenet_preprocessing();
    if (const auto* stored = metadata("dynofa.preprocessing"); stored && !exact)
      own.preprocessing = json(*stored, "dynofa.preprocessing").get<data::preprocessing>();
    return own;
  }

  /// The same as a classifier, for what measures accuracy.
  dynofa::image_classifier classifier(const std::string& path) const {
    const own_checkpoint own = load(path);
    if (own.classes.empty())
      throw dynofa::error(dynofa::errc::missing_key, path, "names of its classes: --class-names FOLDER_OR_FILE",
                          "none");
    dynofa::image_classifier c;
    c.net = std::make_shared<const dynofa::supernet>(dynofa::make_supernet(own.space, own.tensors));
    c.preprocessing = own.preprocessing;
    for (const auto& [id, name] : own.classes) c.class_ids.push_back(id), c.class_names.push_back(name);
    if (const auto origin = own.file.metadata.find("dynofa.origin"); origin != own.file.metadata.end())
      c.origin = origin->second;
    return c;
  }

private:
  std::vector<CLI::Option*> options_; ///< --width and those that go with it

  bool is_given(std::size_t option) const { return options_[option]->count() > 0; }

  dynofa::space_description space_of(const own_checkpoint& own, const std::string& path,
                                     const std::string* stored) const {
    using namespace dynofa;
    if (!space.empty()) return space_named(space);
    ofa_choices told = choices;
    if (is_given(0)) {
      if (!is_given(1) && !own.classes.empty()) told.classes = static_cast<int>(own.classes.size());
      return ofa_space(told);
    }
    if (stored) return parse_space(*stored);

    auto [guess, assumed] = guess_space(own.tensors, path);
    told.width = 1; // its fields are checked there
    const space_description given = ofa_space(told);
    if (is_given(1)) guess.classes = given.classes;
    if (is_given(2)) guess.resolutions = given.resolutions, assumed.pop_back();
    for (auto& stage : guess.stages) {
      if (is_given(3)) stage.depths = given.stages[0].depths;
      if (is_given(4)) stage.expands = given.stages[0].expands;
      if (is_given(5)) stage.kernels = given.stages[0].kernels;
    }
    std::cout << "its shapes fit this space:\n  " << nlohmann::json(guess).dump() << "\nbut do not tell\n";
    for (const auto& what : assumed) std::cout << "  " << what << '\n';
    std::cout << "(--width W --classes N --resolutions R,R tell it, --space FILE.json anything else)\n";
    std::string answer = yes ? "y" : "";
    if (!yes && ::isatty(STDIN_FILENO)) {
      std::cout << "Is it so? [y/N] " << std::flush;
      std::getline(std::cin, answer);
    }
    if (answer != "y" && answer != "yes")
      throw error(errc::invalid_argument, path, "--yes, or a space that is told", "a guess that nobody agreed to");
    return guess;
  }
};
