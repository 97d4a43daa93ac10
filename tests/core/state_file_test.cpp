#include "dynofa/core/state_file.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"

namespace dynofa_test::core_state_file {

using namespace dynofa;
using support::sentence;

TEST_CASE("a state comes back for the same inputs, and for no others") {
  const support::scratch_folder folder;
  const auto path = folder.path() / "state.json";
  const named_inputs inputs = {{"super-network", "hash 1f"}, {"samples", "80"}};
  const state_file file(path, inputs);
  CHECK_FALSE(file.load());
  const nlohmann::json content = {{"done", {1, 2.5, "three"}}};
  file.save(content);
  CHECK(file.load() == content);
  CHECK(state_file(path, inputs).load() == content);

  const std::string from = path.string() + ", made earlier from another input, ";
  const auto say = [&](const named_inputs& now) { return sentence([&] { state_file(path, now).load(); }); };
  CHECK(say({{"super-network", "hash 2e"}, {"samples", "80"}}) ==
        from + "super-network: expected hash 2e, got hash 1f (remove it, or give another place, to begin anew)");
  CHECK(say({{"super-network", "hash 1f"}, {"samples", "120"}}).starts_with(from + "samples: expected 120, got 80"));
  CHECK(say({{"super-network", "hash 1f"}}).starts_with(from + "samples: expected none, got 80"));
  CHECK(say({{"super-network", "hash 1f"}, {"samples", "80"}, {"seed", "1"}})
            .starts_with(from + "seed: expected 1, got none"));
  CHECK(
      say({{"super-network", "hash 1f"}, {"samples", "80"}, {std::string(5000, 'n'), std::string(5000, 'v')}}).size() <
      600);
  CHECK(file.load() == content); // a refusal leaves it
}

TEST_CASE("what is no state is one sentence, never worse") {
  const support::scratch_folder folder;
  const auto path = folder.path() / "state.json";
  const state_file file(path, {{"seed", "1"}});
  for (const char* other : {"", "[]", "3", "{}", R"({"format":"dynofa state"})", R"({"format":"dynofa profile"})",
                            R"({"format":"dynofa state","version":1,"inputs":{},"content":1})"}) {
    support::write_text(path, other);
    CHECK(sentence([&] { file.load(); }).starts_with(path.string()));
  }
}

TEST_CASE("texts that are not UTF-8 are refused before anything is written") {
  const support::scratch_folder folder;
  const state_file file(folder.path() / "state.json", {{"seed", "1"}});
  file.save(1);
  CHECK(sentence([&] { file.save("caf\xe9"); }).ends_with("expected names and texts in UTF-8, got another encoding"));
  CHECK(file.load() == nlohmann::json(1));
}

} // namespace dynofa_test::core_state_file
