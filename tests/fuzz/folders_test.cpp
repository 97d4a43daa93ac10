// Data sets are folders: whoever packs one chooses every name in it.
#include "dynofa/data/image_folder.hpp"
#include "dynofa/data/load_class_names.hpp"

#include <doctest/doctest.h>

#include "support/fuzz.hpp"
#include "support/scratch_folder.hpp"
#include <fstream>

namespace dynofa_test::fuzz_folders {

using namespace dynofa;
using namespace support;
namespace fs = std::filesystem;

namespace {

/// Makes an empty file of each line's name below `root`, where there can be one.
void make_files(const fs::path& root, std::string_view names) {
  while (!names.empty()) {
    const auto end = std::min(names.find('\n'), names.size() - 1);
    const fs::path name(names.substr(0, end));
    names.remove_prefix(end + 1);
    const bool outside = std::find(name.begin(), name.end(), fs::path("..")) != name.end() ||
                         name.native().find('\0') != name.native().npos;
    if (name.is_absolute() || outside) continue;
    std::error_code ignored;
    fs::create_directories((root / name).parent_path(), ignored);
    std::ofstream(root / name);
  }
}

constexpr std::string_view pieces[] = {"/",    "\n", ".jpg", ".png", ".JPEG",         ".",    "..", "\xff",
                                       "\x1b", "\t", " ",    "cat",  "_lookup_table", ".json"};

} // namespace

TEST_CASE("names in a folder of images") {
  const scratch_folder scratch;
  const fs::path root = scratch.path() / "images";
  const auto use = [&](const file_bytes& file, std::size_t i) {
    fs::remove_all(root);
    fs::create_directory(root);
    make_files(root, file.text());
    const auto images = i == 0 ? data::image_folder(root) : data::image_folder(root, {"cat", "dog", "bird"});
    for (std::size_t i = 0; i < images.size(); ++i) {
      REQUIRE(static_cast<std::size_t>(images.label(i)) < images.classes().size());
      REQUIRE(fs::exists(images.path(i)));
    }
    (void)images.to_string();
    const auto names = data::load_class_names(root);
    REQUIRE((i > 0 || names.size() == images.classes().size()));
  };
  fuzz::alter({"folders of images", root.string()},
              {"cat/1.jpg\ncat/2.PNG\ncat/more/3.jpeg\n.hidden/1.jpg\n", "dog/1.webp\ndog/.1.jpg\nreadme\ncat/1.png\n"},
              300, fuzz::mutator(1, pieces), use)
      .expect(20, 1);
}

} // namespace dynofa_test::fuzz_folders
