#pragma once
#include "dynofa/backend/cpu/after_fork.hpp"
#include "dynofa/backend/cpu/caches.hpp"
#include "dynofa/backend/cpu/denormals.hpp"
#include "dynofa/backend/cpu/isa.hpp"
#include "dynofa/backend/cpu/packed.hpp"
#include "dynofa/backend/cpu/thread_pool.hpp"
#include "dynofa/core/error.hpp"

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>

namespace dynofa::backend::cpu_detail {

/// Part i of n of `count` things, as equal as can be.
struct share {
  int begin, end;
  static share of(int count, int i, int n) {
    return {static_cast<int>(static_cast<std::int64_t>(count) * i / n),
            static_cast<int>(static_cast<std::int64_t>(count) * (i + 1) / n)};
  }
};

/// What a cpu backend chose at construction: the kernels, and the threads they run on.
class execution {
public:
  execution(std::string_view isa_name, int threads, executor given, number_format format)
      : isa_{find_isa(isa_name)}
      , threads_{threads}
      , given_{given}
      , format_{format} {
    if (threads < 1 || threads > 256)
      throw error(errc::invalid_argument, "cpu backend threads", "1 … 256", std::to_string(threads));
    caches_.shared_image = threads > 1;
    if (threads > 1 && !given.run) pool_ = std::make_unique<thread_pool>(threads);
  }

  const kernel_table& kernels() const { return *isa_.kernels; }
  std::string_view isa_name() const { return isa_.name; }
  int threads() const { return threads_; }
  const caches& cache_sizes() const { return caches_; }
  number_format format() const { return format_; } ///< of what is packed without a word

  /// f(i) for i in 0 … threads − 1; with one thread a plain call. What one of several throws is thrown here, after all
  /// have ended.
  template <class F>
  void parallel(F f) const {
    if (threads_ == 1) return f(0);
    if (given_.run) return run_on_brought(f);
    pool_->run([](void* context, int i) { (*static_cast<F*>(context))(i); }, &f);
  }

  /// Held for one image. With several threads two streams on one backend take turns by it.
  struct image_turn {
    std::unique_lock<std::mutex> alone;
    denormals_as_zero mode{}; ///< the workers have it as well
  };
  image_turn turn() const { return {threads_ == 1 ? std::unique_lock<std::mutex>{} : std::unique_lock{mutex_}}; }

private:
  /// Nothing is thrown on a thread of the caller's.
  template <class F>
  void run_on_brought(F& f) const {
    struct tasks {
      F& f;
      std::atomic<bool> failed{false};
      std::exception_ptr fault{};
    } all{f};
    const auto call = [](void* context, int i) {
      auto& of = *static_cast<tasks*>(context);
      const denormals_as_zero mode;
      try {
        of.f(i);
      } catch (...) {
        if (!of.failed.exchange(true)) of.fault = std::current_exception();
      }
    };
    given_.run(given_.self, threads_, call, &all);
    if (all.fault) std::rethrow_exception(all.fault);
  }

  isa isa_;
  int threads_;
  executor given_;
  number_format format_;
  caches caches_ = query_caches();
  std::unique_ptr<thread_pool> pool_;
  mutable std::mutex mutex_;
  after_fork child_{[this] { new (&mutex_) std::mutex; }}; ///< whoever held it is not there
};

} // namespace dynofa::backend::cpu_detail
