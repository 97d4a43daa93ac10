#include "dynofa/backend/concept.hpp"
#include "dynofa/backend/reference.hpp"

#include <doctest/doctest.h>

#include "support/tiny_space.hpp"

namespace dynofa_test::backend_concept {

using namespace dynofa;
using backend::reference;

namespace {

// The reference backend with one promise broken each: a name that hides the operation.
struct no_name : reference {
  void name() = delete;
};
struct no_pack : reference {
  void pack() = delete;
};
struct packs_something_else : reference {
  int pack(const supernet_ptr&) const { return 0; }
};
struct no_bind : reference {
  void bind() = delete;
};
struct binds_something_else : reference {
  int bind(const std::shared_ptr<const packed>&, const plan&, const scale_shift&) const { return 0; }
};
struct no_make_workspace : reference {
  void make_workspace() = delete;
};
struct no_run : reference {
  void run() = delete;
};
struct no_run_block : reference {
  void run_block() = delete;
};
struct no_time_block : reference {
  void time_block() = delete;
};
struct no_time_run : reference {
  void time_run() = delete;
};
struct times_without_a_figure : reference {
  void time_run(bound&, workspace&, int) const {}
};
struct cannot_be_copied : reference {
  cannot_be_copied(const cannot_be_copied&) = delete;
};
struct packed_without_source : reference {
  struct packed {
    std::size_t bytes() const { return 0; }
  };
  std::shared_ptr<const packed> pack(const supernet_ptr&) const { return {}; }
  bound bind(const std::shared_ptr<const packed>&, const plan&, const scale_shift&) const;
};
struct bound_without_plan : reference {
  struct bound {
    std::size_t bytes() const { return 0; }
  };
  bound bind(const std::shared_ptr<const packed>&, const plan&, const scale_shift&) const { return {}; }
  void run(bound&, workspace&, std::span<const float>, std::span<float>) const {}
  void run_block(bound&, workspace&, std::size_t, std::span<const float>, std::span<float>) const {}
  double time_block(bound&, workspace&, std::size_t, int) const { return 0; }
  double time_run(bound&, workspace&, int) const { return 0; }
};
struct changes_nothing : reference {};

/// Packs for plans, and counts how often.
struct packs_for_plans : reference {
  using reference::pack;
  std::shared_ptr<const packed> pack(const supernet_ptr& net, std::span<const plan> plans) const {
    asked += plans.size();
    return reference::pack(net);
  }
  static inline std::size_t asked = 0;
};

} // namespace

// That the reference backend satisfies the concept its own header asserts; here is what the concept refuses.
TEST_CASE("a type that breaks one promise of the concept is no backend") {
  CHECK(inference_backend<changes_nothing>);
  CHECK_FALSE(inference_backend<int>);
  CHECK_FALSE(inference_backend<no_name>);
  CHECK_FALSE(inference_backend<no_pack>);
  CHECK_FALSE(inference_backend<packs_something_else>);
  CHECK_FALSE(inference_backend<no_bind>);
  CHECK_FALSE(inference_backend<binds_something_else>);
  CHECK_FALSE(inference_backend<no_make_workspace>);
  CHECK_FALSE(inference_backend<no_run>);
  CHECK_FALSE(inference_backend<no_run_block>);
  CHECK_FALSE(inference_backend<no_time_block>);
  CHECK_FALSE(inference_backend<no_time_run>);
  CHECK_FALSE(inference_backend<times_without_a_figure>);
  CHECK_FALSE(inference_backend<cannot_be_copied>);
  CHECK_FALSE(inference_backend<packed_without_source>);
  CHECK_FALSE(inference_backend<bound_without_plan>);
}

TEST_CASE("a backend that can packs what the plans read, others everything") {
  const auto net = support::tiny_supernet();
  const std::vector<plan> plans(3, make_plan(net->space, smallest(net->space)));
  packs_for_plans can;
  CHECK(pack_for(can, net, plans) != nullptr);
  CHECK(packs_for_plans::asked == 3);
  changes_nothing cannot;
  CHECK(pack_for(cannot, net, plans)->source() == reference{}.pack(net)->source());
}

} // namespace dynofa_test::backend_concept
