#include "dynofa/data/file.hpp"

#include <doctest/doctest.h>

#include "data/pictures.hpp"
#include <string>

namespace dynofa_test::data_file {

using namespace dynofa;
using namespace dynofa::data::testing;
namespace fs = std::filesystem;

TEST_CASE("bytes come back as written, and nothing is left beside the file") {
  const temporary_folder folder("file");
  const auto path = folder.path / "a.bin";
  const std::vector<std::byte> bytes = from_hex("00ff0a0d1a");
  data::write_bytes(path, bytes);
  CHECK(data::read_bytes(path) == bytes);
  data::write_bytes(path, {});
  CHECK(data::read_bytes(path).empty());
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
}

TEST_CASE("what cannot be read is named") {
  const temporary_folder folder("file-faults");
  const auto missing = fault_of([&] { data::read_bytes(folder.path / "none"); });
  CHECK(missing.code() == errc::io);
  CHECK(missing.what() == (folder.path / "none").string() + ": expected a readable file, got no such file");
  CHECK(fault_of([&] { data::read_bytes(folder.path); }).got() == "a folder");
  CHECK(fault_of([&] { data::read_bytes("/dev/null"); }).got() == "something that is not a file");
  write_text(folder.path / "b", "12345");
  CHECK(data::read_bytes(folder.path / "b", 5).size() == 5);
  CHECK(fault_of([&] { data::read_bytes(folder.path / "b", 4); }).code() == errc::bad_file);
}

TEST_CASE("a failure to write throws and leaves nothing") {
  const temporary_folder folder("file-write");
  const auto bytes = from_hex("0102");
  CHECK(fault_of([&] { data::write_bytes(folder.path / "no" / "where", bytes); }).code() == errc::io);
  fs::create_directories(folder.path / "taken" / "inside"); // a folder that holds something cannot be replaced
  CHECK(fault_of([&] { data::write_bytes(folder.path / "taken", bytes); }).code() == errc::io);
  CHECK_FALSE(fs::exists(folder.path / "taken.part"));
}

} // namespace dynofa_test::data_file
