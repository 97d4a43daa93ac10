#pragma once
#include "dynofa/backend/cuda.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/model/batch_norm.hpp"

#include <atomic>
#include <stop_token>
#include <thread>

namespace support {

/// What comes to a GPU beside a network: batches of another one, one after the other, on a stream of their own, between
/// `start` and `stop`.
class gpu_batches {
public:
  gpu_batches(const dynofa::supernet_ptr& net, const dynofa::arch& a, int size)
      : worker_{[this, net, a, size](const std::stop_token& stop) {
        dynofa::session runner(dynofa::backend::cuda{}, net);
        auto level = runner.load(a, stored_statistics(*net, a), size);
        runner.prepare();
        while (!stop.stop_requested()) {
          working_.wait(false);
          if (stop.stop_requested()) break;
          runner.backend().enqueue(*level, runner.workspace());
          runner.backend().wait();
        }
      }} {}
  gpu_batches(const gpu_batches&) = delete;
  gpu_batches& operator=(const gpu_batches&) = delete;
  ~gpu_batches() { worker_.request_stop(), start(); }
  void start() { working_ = true, working_.notify_all(); }
  void stop() { working_ = false; }

private:
  std::atomic<bool> working_ = false;
  std::jthread worker_;
};

} // namespace support
