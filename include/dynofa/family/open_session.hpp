#pragma once
#include "dynofa/backend/session.hpp"
#include "dynofa/family/family.hpp"

#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace dynofa {

/// A session for the levels of a family: in each of their number formats what they read of the super-network is packed,
/// and no more where the backend can tell. Of formats that `weights` has nothing is packed. Throws what packing throws.
template <inference_backend Backend>
session<Backend> open_session(Backend backend, const family& f,
                              std::type_identity_t<packed_formats<Backend>> weights = {}) {
  session<Backend> opened(std::move(backend), f.net(), std::move(weights));
  std::map<std::string, std::vector<plan>> plans;
  for (const family_level& l : f.levels()) plans[opened.own_name(l.format)].push_back(make_plan(f.space(), l.arch));
  for (const auto& [format, of] : plans) opened.pack(format, of);
  return opened;
}

} // namespace dynofa
