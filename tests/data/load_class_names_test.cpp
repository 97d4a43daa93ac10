#include "dynofa/data/load_class_names.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"

namespace dynofa_test::data_load_class_names {

using namespace dynofa;
using namespace dynofa::data;
using namespace support;

TEST_CASE("folders, lines and JSON give the same classes") {
  const std::vector<class_name> plain = {{"cat", "cat"}, {"dog", "dog"}};
  const scratch_folder folder;
  for (auto* name : {"images/dog", "images/cat", "images/.ipynb_checkpoints"})
    std::filesystem::create_directories(folder.path() / name);
  write_text(folder.path() / "images/readme.txt", "no class");
  CHECK(load_class_names(folder.path() / "images") == plain);

  const auto from = [&](std::string_view content) {
    write_text(folder.path() / "classes", content);
    return load_class_names(folder.path() / "classes");
  };
  CHECK(from("cat\r\n\ndog\n") == plain);
  CHECK(from(R"(["cat", "dog"])") == plain);
  CHECK(from("\n [{\"wnid\": \"cat\", \"name\": \"cat\"}, \"dog\"]") == plain);
  CHECK(from("n01443537 goldfish, Carassius auratus\nx\ttwo words\nn0144 3537") ==
        std::vector<class_name>{
            {"n01443537", "goldfish, Carassius auratus"}, {"x", "two words"}, {"n0144 3537", "n0144 3537"}});
}

TEST_CASE("anything else is one sentence with the path") {
  const scratch_folder folder;
  const auto path = folder.path() / "classes";
  const auto said = [&](std::string_view content) {
    write_text(path, content);
    const auto all = sentence([&] { load_class_names(path); });
    REQUIRE(all.starts_with(path.string()));
    return all.substr(path.string().size());
  };
  CHECK(said("") == ": expected class names, a line each or as JSON, got an empty file");
  CHECK(said("\n\n") == ": expected at least one class, got none");
  CHECK(said("{\"0\": \"cat\"}") == ": expected a list, got object");
  CHECK(said("[3]") == "[0]: expected an object, got 3");
  CHECK(said("\x1f\x8b") == ": expected class names, a line each or as JSON, got a gzip archive");
  CHECK(said("<html>").starts_with(": expected the file itself, got an HTML page"));
  CHECK(said("cat\n" + std::string(1025, 'x')) == " line 2: expected a text of at most 1024 bytes, got string");
  CHECK(said("caf\xe9\n") == " line 1: expected UTF-8, got other bytes"); // Latin-1
  std::filesystem::create_directories(folder.path() / "latin1" / "caf\xe9");
  CHECK(sentence([&] { load_class_names(folder.path() / "latin1"); }) ==
        (folder.path() / "latin1").string() + ": expected UTF-8, got other bytes");
  std::filesystem::create_directory(folder.path() / "none");
  CHECK(sentence([&] { load_class_names(folder.path() / "none"); }) ==
        (folder.path() / "none").string() + ": expected a folder for each class, got none");
  CHECK(sentence([&] { load_class_names(folder.path() / "absent"); }).find("No such file") != std::string::npos);
}

} // namespace dynofa_test::data_load_class_names
