#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/farm/result_log.hpp"
#include "dynofa/farm/worker.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace dynofa::farm {

/// When a farm gives up, and whom it tells how far it is.
struct coordinator_options {
  /// A task that failed so often ends the job with its last sentence. 3: a full disk or a lost mount on one worker is
  /// no reason to stop; a fault of the task itself shows on every worker.
  int most_failures = 3;
  /// Told after each task, with what is done of how many; false stops with errc::cancelled.
  std::function<bool(std::size_t done, std::size_t total)> progress = {};
};

/// What became of a worker's tasks.
struct worker_account {
  std::string kind;                                  ///< as the worker named itself
  std::size_t tasks = 0, failures = 0, repeated = 0; ///< repeated: done, but another was first
  double busy_ms = 0;                                ///< time in tasks
  bool lost = false;                                 ///< it is gone
};

/// Gives tasks to whoever is free, keeps every result in the log, and asks for none that stands there.
///
///     farm::result_log log("job.log", inputs);
///     farm::coordinator farm(transport, log, work);
///     std::vector<nlohmann::json> results = farm.map(tasks);      // in the order of the tasks, whoever did them
///
/// Towards the end, when more workers are free than tasks are left, the task that has run longest is given out once
/// more: a slow worker then does not keep the others waiting. The first result counts. A lost worker's task goes to
/// another. A farm of one member does the tasks itself. For one thread; workers are told to stop when it is destroyed.
template <transport T, work_function Work>
class coordinator {
public:
  /// `others` and `log` must outlive it; `work` is for a farm of one member.
  coordinator(T& others, result_log& log, Work work, coordinator_options options = {})
      : others_{others}
      , log_{log}
      , work_{std::move(work)}
      , options_{std::move(options)}
      , workers_(static_cast<std::size_t>(others.size())) {}
  coordinator(const coordinator&) = delete;
  coordinator& operator=(const coordinator&) = delete;
  ~coordinator() { stop(); }

  /// Tells the workers to end after the task they have.
  void stop() noexcept {
    for (int w = 1; w < others_.size() && !stopped_; ++w) try {
        if (!account(w).lost) others_.send(w, R"({"stop":true})");
      } catch (...) { // whoever cannot be told is gone
      }
    stopped_ = true;
  }

  /// The results of all tasks, in their order. Throws errc::device with what a worker said of a task that failed too
  /// often, errc::infeasible for a task that no worker's kind fits and when all workers are lost, errc::cancelled, and
  /// what the log throws; what was done until then stands in the log.
  std::vector<nlohmann::json> map(std::span<const task> tasks) {
    open_.clear(), waiting_.clear();
    for (const task& t : tasks)
      if (!log_.find(t.identity))
        if (const auto [at, is_new] = open_.emplace(t.identity, open_task{&t, {}, {}, 0}); is_new)
          waiting_[t.wants].push_back(&at->second);
    const std::size_t total = open_.size();
    if (others_.size() == 1) do_all(total);
    while (!open_.empty()) {
      give_out();
      hear(total);
    }
    std::vector<nlohmann::json> results;
    results.reserve(tasks.size());
    for (const task& t : tasks) results.push_back(*log_.find(t.identity));
    return results;
  }

  /// By member; 0 is the coordinator itself.
  const std::vector<worker_account>& accounts() const noexcept { return accounts_of_; }

private:
  using clock = std::chrono::steady_clock;
  struct open_task {
    const task* what;
    std::vector<int> with; // workers that have it
    clock::time_point since;
    int failures;
  };
  struct worker {
    bool ready = false; // it has said what kind it is
    std::string task;   // that it has; "": free
  };

  worker_account& account(int w) { return accounts_of_[static_cast<std::size_t>(w)]; }
  worker& member(int w) { return workers_[static_cast<std::size_t>(w)]; }

  void do_all(std::size_t total) {
    for (const auto& [wants, tasks] : waiting_)
      for (const open_task* t : tasks) {
        auto [result, ms] = detail::timed(work_, *t->what);
        finish(*t->what, 0, ms, std::move(result));
        tell(++account(0).tasks, total);
      }
    open_.clear();
  }

  void finish(const task& t, int w, double ms, nlohmann::json result) {
    log_.add(t.identity, w, ms, std::move(result));
    account(w).busy_ms += ms;
  }
  void tell(std::size_t done, std::size_t total) {
    if (options_.progress && !options_.progress(done, total))
      throw error(errc::cancelled, "farm", "to do every task", text("a stop after ", done, " of ", total));
  }

  bool fits(const std::string& wants, int w) { return wants.empty() || wants == account(w).kind; }

  /// The next task for a free worker: one that nobody has, first those that only its kind may do; else the one that has
  /// run longest with a single worker. Null: nothing for it.
  open_task* next_for(int w) {
    for (const std::string& wants : {account(w).kind, std::string()})
      if (auto& tasks = waiting_[wants]; !tasks.empty()) {
        open_task* const first = tasks.front();
        tasks.pop_front();
        return first;
      }
    open_task* oldest = nullptr;
    for (int other = 1; other < others_.size(); ++other)
      if (const auto found = open_.find(member(other).task); other != w && found != open_.end()) {
        open_task& t = found->second;
        if (t.with.size() == 1 && fits(t.what->wants, w) && (!oldest || t.since < oldest->since)) oldest = &t;
      }
    return oldest;
  }

  void give_out() {
    bool somebody = false, all_known = true;
    for (int w = 1; w < others_.size(); ++w) {
      if (account(w).lost) continue;
      somebody = true;
      all_known &= member(w).ready;
      if (!member(w).ready || !member(w).task.empty()) continue;
      open_task* const t = next_for(w);
      if (!t) continue;
      if (t->with.empty()) t->since = clock::now();
      t->with.push_back(w);
      member(w).task = t->what->identity;
      others_.send(w, dynofa::detail::json_text({{"do", t->what->identity}, {"input", t->what->input}}, "farm"));
    }
    if (!somebody)
      throw error(errc::infeasible, "farm", text("a worker for ", open_.size(), " tasks"), "none that is left");
    if (!all_known) return;
    for (const auto& [wants, tasks] : waiting_) {
      bool fitting = tasks.empty();
      for (int w = 1; w < others_.size() && !fitting; ++w) fitting = !account(w).lost && fits(wants, w);
      if (!fitting)
        throw error(errc::infeasible, text("task ", tasks.front()->what->identity),
                    text("a worker of kind ", printable(wants)), "none");
    }
  }

  void hear(std::size_t total) {
    const auto heard = others_.receive(std::chrono::milliseconds(200));
    if (!heard) return tell(total - open_.size(), total);
    const int w = heard->from;
    if (heard->lost) {
      account(w).lost = true;
      give_back(w);
      return;
    }
    const std::string where = text("message of worker ", w);
    auto all = dynofa::detail::parse_bounded(heard->body, where, detail::longest_message);
    const dynofa::detail::json_field field(all, where);
    if (field.object().has("ready")) {
      member(w).ready = true;
      account(w).kind = field["ready"].word(1000);
    } else if (field.has("failed")) {
      ++account(w).failures;
      failed(w, field["failed"].word(1000), field["why"].word(1 << 20));
    } else {
      done(w, field["done"].word(1000), field["ms"].number(), std::move(all["result"]), total);
    }
  }

  void done(int w, const std::string& identity, double ms, nlohmann::json result, std::size_t total) {
    member(w).task.clear();
    ++account(w).tasks;
    const auto found = open_.find(identity);
    if (found == open_.end()) { // another was first, now or in an earlier `map`
      ++account(w).repeated;
      account(w).busy_ms += ms;
      return;
    }
    finish(*found->second.what, w, ms, std::move(result));
    open_.erase(found);
    tell(total - open_.size(), total);
  }

  void failed(int w, const std::string& identity, const std::string& why) {
    give_back(w);
    const auto found = open_.find(identity);
    if (found == open_.end()) return;
    if (++found->second.failures >= options_.most_failures)
      throw error(errc::device, text("task ", identity), text("a result within ", options_.most_failures, " attempts"),
                  why);
  }

  void give_back(int w) {
    if (const auto found = open_.find(member(w).task); found != open_.end()) {
      open_task& t = found->second;
      std::erase(t.with, w);
      if (t.with.empty()) waiting_[t.what->wants].push_front(&t);
    }
    member(w).task.clear();
  }

  T& others_;
  bool stopped_ = false;
  result_log& log_;
  Work work_;
  coordinator_options options_;
  std::vector<worker> workers_;
  std::vector<worker_account> accounts_of_ = std::vector<worker_account>(workers_.size());
  std::map<std::string, open_task> open_;                 // without a result
  std::map<std::string, std::deque<open_task*>> waiting_; // of these, those that nobody has, by what they want
};

} // namespace dynofa::farm
