#include "dynofa/data/folder_fingerprint.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"

namespace dynofa_test::data_folder_fingerprint {

using namespace dynofa;
using data::fingerprint, data::image_folder;
namespace fs = std::filesystem;

namespace {
void put(const fs::path& path, std::string_view content) {
  fs::create_directories(path.parent_path());
  support::write_text(path, content);
}
} // namespace

TEST_CASE("a fingerprint follows content, names, labels and order, not the place") {
  const support::scratch_folder folder;
  const fs::path one = folder.path() / "one", two = folder.path() / "two";
  for (const fs::path& root : {one, two}) put(root / "a" / "x.png", "red"), put(root / "b" / "y.jpg", "green");
  const std::string before = fingerprint(image_folder(one));
  CHECK(before.starts_with("2 pictures, hash "));
  CHECK(fingerprint(image_folder(two)) == before);
  CHECK(fingerprint(image_folder(two), 3) == before);
  const auto changed = [&](const fs::path& path, std::string_view content) {
    const std::string old = support::read_text(path);
    put(path, content);
    const bool differs = fingerprint(image_folder(two)) != before;
    put(path, old);
    return differs;
  };
  CHECK(changed(two / "a" / "x.png", "rod")); // of the same length
  CHECK_FALSE(changed(two / "a" / "x.png", "red"));
  CHECK(fingerprint(image_folder(two, {"b", "a"})) != before);
  CHECK(fingerprint(image_folder(two).subset(1, 1)) != before);
  fs::rename(two / "b" / "y.jpg", two / "b" / "z.jpg");
  CHECK(fingerprint(image_folder(two)) != before);
  fs::rename(two / "b" / "z.jpg", two / "a" / "z.jpg");
  CHECK(fingerprint(image_folder(two)) != before);
}

TEST_CASE("a picture that is gone is one sentence") {
  const support::scratch_folder folder;
  put(folder.path() / "a" / "x.png", "red");
  const image_folder images(folder.path());
  fs::remove(folder.path() / "a" / "x.png");
  CHECK(support::sentence([&] { fingerprint(images); }).find("x.png: expected a readable file") != std::string::npos);
}

} // namespace dynofa_test::data_folder_fingerprint
