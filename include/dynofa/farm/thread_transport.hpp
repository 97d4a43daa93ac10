#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/farm/transport.hpp"

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace dynofa::farm {

/// Members of a farm that are threads of one process. One member is gone when its transport is: member 0 is told.
class thread_transport {
public:
  /// One for each member, to be moved into its thread. Throws errc::invalid_argument for less than 1.
  static std::vector<thread_transport> group(int members) {
    require_argument(members >= 1, "farm", "at least 1 member", members);
    const auto boxes = std::make_shared<std::vector<mailbox>>(static_cast<std::size_t>(members));
    std::vector<thread_transport> all;
    for (int i = 0; i < members; ++i) all.push_back(thread_transport(boxes, i));
    return all;
  }
  /// What was moved from is no member any more.
  thread_transport(thread_transport&&) noexcept = default;
  thread_transport& operator=(thread_transport&&) = delete;
  ~thread_transport() {
    if (boxes_ && rank_ > 0) put(0, {rank_, {}, true});
  }

  int rank() const noexcept { return rank_; }                            ///< of this member
  int size() const noexcept { return static_cast<int>(boxes_->size()); } ///< members in all

  /// Throws errc::invalid_argument for a member that there is not.
  void send(int to, std::string body) {
    require_argument(to >= 0 && to < size(), "farm", text("a member below ", size()), to);
    put(to, {rank_, std::move(body), false});
  }
  /// The next message, or nothing within the time.
  std::optional<message> receive(std::chrono::milliseconds longest) {
    mailbox& own = (*boxes_)[static_cast<std::size_t>(rank_)];
    std::unique_lock lock(own.mutex);
    if (!own.filled.wait_for(lock, longest, [&] { return !own.messages.empty(); })) return std::nullopt;
    message first = std::move(own.messages.front());
    own.messages.pop_front();
    return first;
  }

private:
  struct mailbox {
    std::mutex mutex;
    std::condition_variable filled;
    std::deque<message> messages;
  };

  thread_transport(std::shared_ptr<std::vector<mailbox>> boxes, int rank)
      : boxes_{std::move(boxes)}
      , rank_{rank} {}

  void put(int to, message m) {
    mailbox& box = (*boxes_)[static_cast<std::size_t>(to)];
    const std::lock_guard lock(box.mutex);
    box.messages.push_back(std::move(m));
    box.filled.notify_one();
  }

  std::shared_ptr<std::vector<mailbox>> boxes_;
  int rank_;
};

static_assert(transport<thread_transport>);

} // namespace dynofa::farm
