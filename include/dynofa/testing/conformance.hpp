#pragma once
#include "dynofa/backend/concept.hpp"
#include "dynofa/core/parallel_for.hpp"
#include "dynofa/testing/networks.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <exception>
#include <functional>
#include <latch>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

// Judges any backend by the reference backend. Not a test framework: a report with a sentence for each fault.
//
//     for (const std::string& finding : dynofa::conformance::judge(my_backend{}).findings) puts(finding.c_str());

namespace dynofa::conformance {

/// What a backend is held to. Errors are in units of the root mean square of the reference's tensor.
struct options {
  double block_tolerance = 2e-5;       ///< of each block, which is given the reference's own input
  double logits_tolerance = 2e-4;      ///< of whole networks
  std::function<long()> allocations{}; ///< counts those of the process so far: then running must not add any
};

/// What a judgement found.
struct report {
  std::vector<std::string> findings;               ///< a sentence each; none for a backend that conforms
  double worst_block = 0, worst_logits = 0;        ///< the largest errors met, in units of the reference's rms
  bool runs_batches = true;                        ///< false: it refused every plan of several images, which it may
  bool passed() const { return findings.empty(); } ///< without a finding
};

namespace detail {

template <inference_backend Backend>
class judgement {
public:
  using bound = typename Backend::bound;
  using workspace = typename Backend::workspace;

  judgement(Backend& backend, const suite& s, const options& o)
      : backend_{backend}
      , suite_{s}
      , options_{o} {}

  report run() {
    try {
      expect(!std::string(backend_.name()).empty(), "name()", "a name that tables can carry", "none");
      judge_weights();
      bind_all();
      if (!levels_.empty()) judge_levels();
      if (!levels_.empty()) judge_streams();
      judge_refusals();
      judge_parts();
    } catch (const std::exception& e) {
      expect(false, doing_, "no exception", e.what());
    }
    return std::move(report_);
  }

private:
  struct judged_level {
    const truth* of;
    bound level;
    std::vector<float> logits; ///< of the first run
  };
  Backend& backend_;
  const suite& suite_;
  const options& options_;
  report report_;
  std::string doing_ = "name()";
  std::shared_ptr<const typename Backend::packed> packed_;
  std::vector<judged_level> levels_;
  std::vector<plan> plans_;
  long allocated_ = 0;

  void expect(bool good, const std::string& where, const std::string& wanted, const std::string& got) {
    if (!good) report_.findings.push_back(text(where, ": expected ", wanted, ", got ", got));
  }
  void expect_close(double error, double tolerance, double& worst, const std::string& where) {
    if (!(error <= worst) && !std::isnan(worst)) worst = error;
    expect(error <= tolerance, where, text("an error of at most ", tolerance), text(error));
  }
  /// Runs what may not allocate.
  template <class Run>
  void count_allocations(Run run) {
    const long before = options_.allocations ? options_.allocations() : 0;
    run();
    if (options_.allocations) allocated_ += options_.allocations() - before;
  }

  void judge_weights() {
    doing_ = "pack";
    packed_ = backend_.pack(suite_.net);
    expect(packed_->source() == suite_.net->fingerprint(), "source() of packed weights",
           "the fingerprint of their super-network", "another");
    std::size_t largest_plan = 0;
    for (const truth& t : suite_.networks)
      largest_plan = std::max(largest_plan, static_cast<std::size_t>(t.of.weight_bytes()));
    // A network has all three depthwise kernels; what a layout pads is little.
    expect(packed_->bytes() <= 4 * largest_plan, "bytes() of packed weights",
           text("at most 4 × the ", largest_plan, " of the largest sub-network"), text(packed_->bytes()));
  }

  void bind_all() {
    std::size_t batches = 0, refused = 0, singly = 0;
    for (const truth& t : suite_.networks) {
      doing_ = text("bind ", t.name());
      batches += t.of.batch > 1;
      try {
        levels_.push_back({&t, backend_.bind(packed_, t.of, t.norms), {}});
      } catch (const error& e) {
        refused += t.of.batch > 1; // which a backend may
        expect(t.of.batch > 1, doing_, "a level", e.what());
        continue;
      }
      plans_.push_back(t.of);
      const bound& level = levels_.back().level;
      expect(level.plan.arch == t.of.arch && level.plan.batch == t.of.batch && level.plan.blocks == t.of.blocks, doing_,
             "a level with its plan", text("the plan of ", level.plan.arch));
      expect(level.bytes() <= static_cast<std::size_t>(t.of.weight_bytes()), doing_,
             text("a level without weights of its own: less than ", t.of.weight_bytes(), " bytes"),
             text(level.bytes()));
      singly += backend_.make_workspace(std::span(&t.of, 1)).bytes();
    }
    report_.runs_batches = batches == 0 || refused < batches;
    doing_ = "make_workspace";
    if (levels_.empty()) return;
    const std::size_t together = backend_.make_workspace(plans_).bytes();
    expect(together <= singly, "bytes() of a workspace of many plans", text("at most the ", singly, " of one for each"),
           text(together));
  }

  /// The answer to the images of a level. `logits` are NaN before.
  void answer(judged_level& l, workspace& space, std::vector<float>& logits) {
    doing_ = text("run ", l.of->name());
    logits.assign(l.of->logits().size(), std::numeric_limits<float>::quiet_NaN());
    count_allocations([&] { backend_.run(l.level, space, l.of->images(), logits); });
  }
  void expect_same(const judged_level& l, const std::vector<float>& logits, const char* when) {
    expect(logits == l.logits, text("run ", l.of->name(), ' ', when), "the same bits as before",
           text("an answer that differs by ", difference(logits, l.logits)));
  }

  /// All levels on one workspace: every network, again, every block alone, and in another order.
  void judge_levels() {
    workspace space = backend_.make_workspace(plans_);
    std::vector<float> logits;
    for (judged_level& l : levels_) {
      if constexpr (requires { backend_.prepare(l.level, space); }) backend_.prepare(l.level, space);
      answer(l, space, l.logits);
      expect_close(difference(l.logits, l.of->logits()), options_.logits_tolerance, report_.worst_logits, doing_);
      answer(l, space, logits);
      expect_same(l, logits, "twice");
      for (std::size_t b = 0; b < l.of->of.blocks.size(); ++b) judge_block(l, space, b);
    }
    judge_clock(levels_.front(), space);
    for (std::size_t i = levels_.size(); i-- > 0;) {
      answer(levels_[i], space, logits);
      expect_same(levels_[i], logits, "after blocks and other levels");
    }
    expect(allocated_ == 0, "running levels", "no allocation", text(allocated_));
  }
  void judge_block(judged_level& l, workspace& space, std::size_t b) {
    const block& block = l.of->of.blocks[b];
    doing_ = text("block ", b, " of ", l.of->name(), " (kernel ", int(block.kernel), ", stride ", int(block.stride),
                  ", ", block.in_size, " × ", block.in_size, " × ", block.in_channels, ')');
    const std::vector<float>& wanted = l.of->tensors[b + 1];
    std::vector<float> got(wanted.size(), std::numeric_limits<float>::quiet_NaN());
    count_allocations([&] { backend_.run_block(l.level, space, b, l.of->tensors[b], got); });
    expect_close(difference(got, wanted), options_.block_tolerance, report_.worst_block, doing_);
  }
  void judge_clock(judged_level& l, workspace& space) {
    doing_ = text("time_run ", l.of->name());
    double ms = backend_.time_run(l.level, space, 2);
    expect(ms > 0 && std::isfinite(ms), doing_, "a time above 0 ms", text(ms));
    for (std::size_t b = 0; b < l.of->of.blocks.size(); ++b) {
      doing_ = text("time_block ", b, " of ", l.of->name());
      count_allocations([&] { ms = backend_.time_block(l.level, space, b, 2); });
      expect(ms > 0 && std::isfinite(ms), doing_, "a time above 0 ms", text(ms));
    }
  }

  /// Two threads, each with a copy of the backend, a level and a workspace of its own.
  void judge_streams() {
    std::string faults[2];
    std::latch both(2);
    parallel_for(2, 2, [&](std::size_t i) {
      both.arrive_and_wait(); // so that neither thread takes both turns
      faults[i] = fault_of_stream(i == 0 ? levels_.front() : levels_.back());
    });
    for (const std::string& fault : faults)
      expect(fault.empty(), "copies of the backend in two threads", "the answers of one thread", fault);
  }
  std::string fault_of_stream(const judged_level& l) const {
    try {
      Backend copy = backend_;
      bound level = copy.bind(packed_, l.of->of, l.of->norms);
      workspace space = copy.make_workspace(std::span(&l.of->of, 1));
      std::vector<float> logits(l.logits.size());
      for (int i = 0; i < 2; ++i) {
        copy.run(level, space, l.of->images(), logits);
        if (logits != l.logits) return text("an answer that differs by ", difference(logits, l.logits));
      }
      return {};
    } catch (const std::exception& e) {
      return e.what();
    }
  }

  template <class Do>
  void expect_refusal(const std::string& what, Do&& attempt) {
    doing_ = text("bind ", what);
    try {
      attempt();
      expect(false, doing_, "a dynofa::error", "a level");
    } catch (const error&) {
    }
  }
  void judge_refusals() {
    const truth& t = suite_.networks.front();
    expect_refusal("scales and shifts of another network", [&] { (void)backend_.bind(packed_, t.of, scale_shift{}); });
    space_description wider = suite_.net->space;
    wider.classes += 1;
    arch a = t.of.arch;
    const plan p = make_plan(wider, a, 1, true);
    expect_refusal("a plan of another space", [&] { (void)backend_.bind(packed_, p, t.norms); });
  }

  /// A backend that packs parts: the same answers from less, and nothing beyond.
  void judge_parts() {
    if constexpr (requires { backend_.pack(suite_.net, std::span<const plan>(plans_)); }) {
      doing_ = "pack for some plans";
      arch little = smallest(suite_.net->space);
      const plan small = make_plan(suite_.net->space, little),
                 full = make_plan(suite_.net->space, largest(suite_.net->space));
      const auto part = backend_.pack(suite_.net, std::span(&small, 1));
      expect(part->bytes() < packed_->bytes(), "bytes() of weights packed for one plan",
             text("less than the ", packed_->bytes(), " of all"), text(part->bytes()));
      const truth t = suite_.judged(small);
      std::vector<float> answers[2];
      for (int i : {0, 1}) {
        judged_level l{&t, backend_.bind(i == 0 ? packed_ : part, small, t.norms), {}};
        workspace space = backend_.make_workspace(std::span(&small, 1));
        answer(l, space, answers[i]);
      }
      expect(answers[0] == answers[1], doing_, "the answer of the whole super-network to the bit", "another");
      const scale_shift norms = norms_of(*suite_.net, full);
      expect_refusal("a plan that the weights were not packed for", [&] { (void)backend_.bind(part, full, norms); });
    }
  }
};

} // namespace detail

/// Runs the networks of `s` on `backend` and compares everything that the concept promises: blocks and logits within
/// the tolerances, the same bits for the same input, levels on one workspace and streams beside each other undisturbed,
/// refusals by `dynofa::error`, sizes in bytes. Never throws for a fault of the backend.
template <inference_backend Backend>
report judge(Backend backend, const suite& s, const options& o = {}) {
  return detail::judgement<Backend>{backend, s, o}.run();
}
/// On `suite::of_every_block()`.
template <inference_backend Backend>
report judge(Backend backend, const options& o = {}) {
  return judge(std::move(backend), suite::of_every_block(), o);
}

} // namespace dynofa::conformance
