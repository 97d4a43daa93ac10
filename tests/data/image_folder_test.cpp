// ctest: threads
#include "dynofa/data/draw.hpp"
#include "dynofa/data/image_folder.hpp"

#include <doctest/doctest.h>

#include "data/pictures.hpp"
#include "support/scratch_folder.hpp"
#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace dynofa_test::data_image_folder {

using namespace dynofa;
using namespace dynofa::data;
using namespace dynofa::data::testing;
using strings = std::vector<std::string>;

namespace {

void put(const std::filesystem::path& path, std::uint64_t seed) {
  std::filesystem::create_directories(path.parent_path());
  write_png(path, draw_landscape(8, 9, seed));
}

strings names(const image_folder& dataset) {
  strings out;
  for (std::size_t i = 0; i < dataset.size(); ++i)
    out.push_back(dataset.path(i).parent_path().filename().string() + "/" + dataset.path(i).filename().string());
  return out;
}

/// b/{1.PNG,2.jpg,3.Jpeg}, a/{x.png,deep/y.png}, a-b/z.png, .hidden/h.png, empty/, notes
void fill(const std::filesystem::path& root) {
  put(root / "b" / "1.PNG", 1);
  replace_file(root / "b" / "2.jpg", encode_jpeg(draw_landscape(8, 9, 2)));
  replace_file(root / "b" / "3.Jpeg", encode_jpeg(draw_landscape(8, 9, 3)));
  put(root / "a" / "x.png", 4);
  put(root / "a" / "deep" / "y.png", 5);
  put(root / "a-b" / "z.png", 6);
  put(root / ".hidden" / "h.png", 7);
  std::filesystem::create_directories(root / "empty");
  write_text(root / "b" / "notes.txt", "not a picture");
  write_text(root / "readme.png", "beside the classes");
}

/// `count` pictures in one class.
image_folder many(const std::filesystem::path& root, int count) {
  for (int i = 0; i < count; ++i) put(root / "c" / text(1000 + i, ".png"), static_cast<std::uint64_t>(i));
  return image_folder(root);
}

} // namespace

TEST_CASE("folders are classes, pictures are in the order of their paths") {
  const support::scratch_folder folder;
  fill(folder.path());
  const image_folder dataset(folder.path());
  CHECK(dataset.classes() == strings{"a", "a-b", "b", "empty"});
  CHECK(names(dataset) == strings{"deep/y.png", "a/x.png", "a-b/z.png", "b/1.PNG", "b/2.jpg", "b/3.Jpeg"});
  std::vector<int> labels;
  for (std::size_t i = 0; i < dataset.size(); ++i) labels.push_back(dataset.label(i));
  CHECK(labels == std::vector<int>{0, 0, 1, 2, 2, 2});
  CHECK(dataset.load(2) == draw_landscape(8, 9, 6));
  CHECK_THROWS_WITH_AS(dataset.load(6), "image_folder: expected an index below 6, got 6", error);
}

TEST_CASE("a given list of classes sets the labels") {
  const support::scratch_folder folder;
  fill(folder.path());
  const image_folder dataset(folder.path(), {"b", "absent", "empty", "a", "a-b"});
  CHECK(dataset.classes().size() == 5);
  CHECK(dataset.label(0) == 3);
  CHECK(dataset.label(2) == 4);
  CHECK(dataset.label(5) == 0);

  const auto unknown = fault_of([&] { image_folder(folder.path(), {"a", "b", "empty"}); });
  CHECK(unknown.code() == errc::mismatch);
  CHECK(unknown.where() == (folder.path() / "a-b").string());
  CHECK(fault_of([&] { image_folder(folder.path(), {"b", "empty", "a", "a-b", "b"}); }).got() == "b twice");
}

TEST_CASE("faults name the path") {
  const support::scratch_folder folder;
  const auto missing = fault_of([&] { image_folder(folder.path() / "none"); });
  CHECK(missing.code() == errc::io);
  CHECK(missing.where() == (folder.path() / "none").string());

  const auto empty = fault_of([&] { image_folder{folder.path()}; });
  CHECK(empty.code() == errc::bad_file);
  CHECK(empty.what() == folder.path().string() + ": expected class folders with .jpg, .jpeg or .png files, got none");
  write_text(folder.path() / "c" / "notes.txt", "");
  CHECK(fault_of([&] { image_folder{folder.path()}; }).code() == errc::bad_file);
  CHECK(fault_of([&] { image_folder(folder.path() / "c" / "notes.txt"); }).code() == errc::io);

  write_text(folder.path() / "c" / "broken.jpg", "no picture");
  const image_folder dataset(folder.path());
  const auto broken = fault_of([&] { dataset.load(0); });
  CHECK(broken.code() == errc::bad_file);
  CHECK(broken.where() == (folder.path() / "c" / "broken.jpg").string());
}

TEST_CASE("subsets repeat with their seed") {
  const support::scratch_folder folder;
  const image_folder dataset = many(folder.path(), 40);
  const auto twenty = names(dataset.subset(20, 7));
  CHECK(twenty == names(dataset.subset(20, 7)));
  CHECK(twenty != names(dataset.subset(20, 8)));
  CHECK(std::set(twenty.begin(), twenty.end()).size() == 20);
  const auto ten = names(dataset.subset(10, 7));
  CHECK(std::equal(ten.begin(), ten.end(), twenty.begin()));

  auto all = names(dataset.subset(40, 7));
  CHECK(all != names(dataset));
  std::sort(all.begin(), all.end());
  CHECK(all == names(dataset));

  const auto drawn = names(dataset.subset(100, 7, true));
  CHECK(drawn.size() == 100);
  CHECK(std::set(drawn.begin(), drawn.end()).size() > 30); // 40 · (1 − (39/40)^100) = 36.8
  CHECK(drawn == names(dataset.subset(100, 7, true)));
  CHECK_THROWS_AS(dataset.subset(41, 7), error);
  CHECK_THROWS_AS(dataset.subset(0, 7), error);
  CHECK_THROWS_AS(dataset.subset(0, 7, true), error);
}

TEST_CASE("every picture is handed out once, however many threads") {
  const support::scratch_folder folder;
  const image_folder dataset = many(folder.path(), 30);
  for (int threads : {1, 2, 4, 100}) {
    std::vector<image> got(dataset.size());
    std::vector<std::size_t> steps;
    for_each_image(
        dataset, threads,
        [&](std::size_t i, int label, const image& picture) {
          if (label == 0 && got[i] == image()) got[i] = picture;
        },
        [&](std::size_t done, std::size_t total) {
          steps.push_back(done);
          return total == 30;
        });
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] == draw_landscape(8, 9, i));
    CHECK(steps.size() == 30);
    CHECK(std::is_sorted(steps.begin(), steps.end()));
    CHECK(steps.back() == 30);
  }
  CHECK_THROWS_AS(for_each_image(dataset, 0, [](auto&&...) {}), error);
}

TEST_CASE("loading can be stopped") {
  const support::scratch_folder folder;
  const image_folder dataset = many(folder.path(), 30);
  for (int threads : {1, 3}) {
    std::atomic<int> used{0};
    const auto fault = fault_of([&] {
      for_each_image(
          dataset, threads, [&](auto&&...) { ++used; }, [](std::size_t done, std::size_t) { return done < 5; });
    });
    CHECK(fault.code() == errc::cancelled);
    CHECK(used >= 5);
    CHECK(used <= 5 + threads * 2);
  }
}

TEST_CASE("the first broken picture is the one that is named") {
  const support::scratch_folder folder;
  const image_folder dataset = many(folder.path(), 30);
  for (int i : {9, 11, 12, 25}) write_text(dataset.path(static_cast<std::size_t>(i)), "broken");
  for (int threads : {1, 2, 4})
    for (int repeat = 0; repeat < 10; ++repeat)
      CHECK(fault_of([&] { for_each_image(dataset, threads, [](auto&&...) {}); }).where() == dataset.path(9).string());
  CHECK_THROWS_AS(for_each_image(dataset, 2, [](auto&&...) { throw std::runtime_error("mine"); }), std::runtime_error);
}

TEST_CASE("decoded pictures are kept as far as there is room, and shared with subsets") {
  const support::scratch_folder scratch;
  for (const char* name : {"1.png", "2.png"}) put(scratch.path() / "a" / name, static_cast<std::uint64_t>(name[0]));
  image_folder dataset(scratch.path());
  const image first = dataset.load(0), second = dataset.load(1);
  dataset.keep_decoded(first.pixels.size() + 1); // room for one
  const image_folder drawn = dataset.subset(2, 1);
  CHECK(dataset.load(0).pixels == first.pixels);
  CHECK(dataset.load(1).pixels == second.pixels);
  put(scratch.path() / "a" / "1.png", 7); // what is kept is not read again, the other is
  put(scratch.path() / "a" / "2.png", 7);
  const image changed = read_image(scratch.path() / "a" / "2.png");
  CHECK(dataset.load(0).pixels == first.pixels);
  CHECK(dataset.load(1).pixels == changed.pixels);
  for (std::size_t i = 0; i < 2; ++i)
    CHECK(drawn.load(i).pixels == (drawn.path(i).filename() == "1.png" ? first : changed).pixels);
}

TEST_CASE("links are followed, to each folder once per class, and a circle ends") {
  const support::scratch_folder scratch, elsewhere;
  const auto root = scratch.path();
  put(root / "a" / "1.png", 1);
  put(root / "b" / "2.png", 2);
  put(elsewhere.path() / "deep" / "3.png", 3);
  put(elsewhere.path() / "4.png", 4);
  const auto link = [&](const std::filesystem::path& to, const char* name) {
    std::filesystem::create_symlink(to, root / name);
  };
  link(elsewhere.path(), "a/store");
  link(elsewhere.path(), "b/store");           // the same for another class
  link(elsewhere.path() / "4.png", "b/5.png"); // a link to a file is a picture of its own
  link(elsewhere.path(), "c");                 // a class folder
  CHECK(names(image_folder(root)) == strings{"a/1.png", "store/4.png", "deep/3.png", "b/2.png", "b/5.png",
                                             "store/4.png", "deep/3.png", "c/4.png", "deep/3.png"});
  CHECK(image_folder(root).left_out().to_string().empty());
  link(root / "a", "a/itself");
  link(root, "a/up");
  link(elsewhere.path() / "deep", "b/twice");
  link("nowhere", "b/dangling");
  link("loop", "b/loop");
  const image_folder again(root);
  CHECK(again.size() == 9);
  CHECK(again.left_out().repeated == 3);
  CHECK(again.left_out().to_string() == "2 without an ending, 3 folders linked twice");
}

TEST_CASE("hidden files and folders are left out, other files counted by kind") {
  const support::scratch_folder scratch;
  const auto root = scratch.path();
  put(root / "a" / "1.png", 1);
  put(root / "a" / ".ipynb_checkpoints" / "1-checkpoint.png", 1);
  put(root / ".ipynb_checkpoints" / "2.png", 2);
  for (const char* name : {"a/._1.png", "a/.DS_Store", "a/2.webp", "a/3.WEBP", "a/4.bmp", "a/notes", "readme.txt"})
    write_text(root / name, "?");
  const image_folder dataset(root);
  CHECK(names(dataset) == strings{"a/1.png"});
  CHECK(dataset.left_out().hidden == 4);
  CHECK(dataset.left_out().kinds.at(".webp") == 2);
  CHECK(dataset.to_string() ==
        "1 images of 1 classes; left out: 1 without an ending, 1 .bmp, 2 .webp, 1 in no class folder, 4 hidden");
  for (char c = 'a'; c < 'm'; ++c) write_text(root / "a" / text("5.", c), "?");
  CHECK(image_folder(root).left_out().to_string().ends_with("1 .h, 6 of other kinds, 1 in no class folder, 4 hidden"));
}

TEST_CASE("a folder of unreadable kinds or of no classes says what it has") {
  const support::scratch_folder scratch;
  write_text(scratch.path() / "1.jpg", "?");
  CHECK(fault_of([&] { image_folder{scratch.path()}; }).got() == "none, but 1 in no class folder");
  write_text(scratch.path() / "a" / "1.gif", "?");
  CHECK(fault_of([&] { image_folder{scratch.path()}; }).got() == "none, but 1 .gif, 1 in no class folder");
}

TEST_CASE("bad pictures end a pass, or are skipped and named") {
  const support::scratch_folder scratch;
  image_folder dataset = many(scratch.path(), 12);
  write_text(dataset.path(3), "RIFF....WEBPVP8 ");
  write_text(dataset.path(7), "");
  const auto pass = [](const image_folder& folder, int threads) {
    std::set<std::size_t> seen;
    std::mutex mutex;
    std::size_t steps = 0;
    for_each_image(
        folder, threads,
        [&](std::size_t i, int, const image& picture) {
          const std::lock_guard lock(mutex);
          if (picture == draw_landscape(8, 9, i)) seen.insert(i);
        },
        [&](std::size_t done, std::size_t) { return steps = done, true; });
    CHECK(steps == folder.size());
    return seen;
  };
  CHECK(fault_of([&] { pass(dataset, 2); }).what() ==
        dataset.path(3).string() + ": expected a JPEG or PNG image, got a WebP image");
  dataset.skip_bad_pictures();
  CHECK(dataset.bad_pictures().empty());
  for (int threads : {1, 3}) CHECK(pass(dataset, threads) == std::set<std::size_t>{0, 1, 2, 4, 5, 6, 8, 9, 10, 11});
  CHECK(dataset.bad_pictures().size() == 2); // each once
  CHECK(dataset.bad_pictures()[1].starts_with(dataset.path(7).string() + ": expected"));
  CHECK(dataset.subset(12, 1).bad_pictures() == dataset.bad_pictures());
  CHECK(dataset.to_string().starts_with("12 images of 1 classes; skipped 2: " + dataset.path(3).string()));
  CHECK_THROWS_AS(dataset.load(3), error); // who asks for one gets that one or a sentence

  for (std::size_t i = 0; i < dataset.size(); ++i) write_text(dataset.path(i), "broken");
  CHECK(fault_of([&] { pass(dataset, 2); }).code() == errc::bad_file);
}

} // namespace dynofa_test::data_image_folder
