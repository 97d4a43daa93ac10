#pragma once
#include "dynofa/core/json_field.hpp"
#include "dynofa/farm/task.hpp"
#include "dynofa/farm/transport.hpp"

#include <chrono>
#include <concepts>
#include <exception>
#include <functional>
#include <string>
#include <utility>

// What members say to each other, one JSON object a message:
//
//   worker → coordinator   {"ready":"KIND"}
//                          {"done":"IDENTITY","ms":812.5,"result":…}
//                          {"failed":"IDENTITY","why":"…"}
//   coordinator → worker   {"do":"IDENTITY","input":…}
//                          {"stop":true}

namespace dynofa::farm {

/// Does a task: in → result.
template <class F>
concept work_function = std::regular_invocable<F&, const task&> &&
    std::convertible_to<std::invoke_result_t<F&, const task&>, nlohmann::json>;

namespace detail {
inline constexpr std::size_t longest_message = 64u << 20;

/// One task timed: (result, ms).
template <work_function Work>
std::pair<nlohmann::json, double> timed(Work& work, const task& t) {
  const auto start = std::chrono::steady_clock::now();
  nlohmann::json result = work(t);
  return {std::move(result),
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count()};
}
} // namespace detail

/// Takes tasks from member 0 and does them until it says stop. `kind` is what tasks may want, such as the name of the
/// board that this worker is. What `work` throws is told to member 0, which gives the task to another.
template <transport T, work_function Work>
void serve(T& others, Work work, const std::string& kind = "") {
  const auto say = [&](const nlohmann::json& what) { others.send(0, dynofa::detail::json_text(what, "farm")); };
  say({{"ready", kind}});
  for (;;) {
    const auto heard = others.receive(std::chrono::hours(1));
    if (!heard) continue;
    const auto all = dynofa::detail::parse_bounded(heard->body, "message to a worker", detail::longest_message);
    const dynofa::detail::json_field field(all, "message to a worker");
    if (field.object().has("stop")) return;
    const task t{field["do"].word(1000), field["input"].value(), {}};
    nlohmann::json answer;
    try {
      auto [result, ms] = detail::timed(work, t);
      answer = {{"done", t.identity}, {"ms", ms}, {"result", std::move(result)}};
    } catch (const std::exception& e) {
      answer = {{"failed", t.identity}, {"why", dynofa::detail::utf8(e.what())}};
    }
    say(answer);
  }
}

} // namespace dynofa::farm
