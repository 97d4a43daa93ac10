#pragma once
#include <chrono>
#include <concepts>
#include <optional>
#include <string>

namespace dynofa::farm {

/// What one member of a farm hears from another.
struct message {
  int from = 0;      ///< the member that sent it
  std::string body;  ///< any bytes
  bool lost = false; ///< `from` will never be heard of again
};

/// How the members of a farm, 0 … size − 1, talk: member 0 coordinates, the others work. Messages of one sender arrive
/// in order, whole. `send` may return before anybody has read. `receive` waits no longer than it is told. A transport
/// that learns of a lost member tells member 0 once, by a message that is marked so; one that cannot learn of it ends
/// the job.
template <class T>
concept transport = requires(T& t, int to, std::string body, std::chrono::milliseconds longest) {
  { t.rank() } -> std::convertible_to<int>;
  { t.size() } -> std::convertible_to<int>;
  t.send(to, std::move(body));
  { t.receive(longest) } -> std::same_as<std::optional<message>>;
};

} // namespace dynofa::farm
