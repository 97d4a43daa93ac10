#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/farm/transport.hpp"

#ifndef OMPI_SKIP_MPICXX // the C interface alone: MPI's own for C++ is long gone from the standard
#define OMPI_SKIP_MPICXX 1
#endif
#ifndef MPICH_SKIP_MPICXX
#define MPICH_SKIP_MPICXX 1
#endif
#include <mpi.h>

#include <chrono>
#include <cstddef>
#include <iterator>
#include <limits>
#include <list>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace dynofa::farm {

/// Members of a farm that are the processes of one MPI job, on one machine or many: `mpirun -n 8 program`. Member 0 is
/// rank 0. One object in a process, made and used by its main thread: it initialises MPI and ends it.
///
/// An MPI that ends the whole job when a process dies (Open MPI 4.1 does) never tells of a lost member: start the job
/// again, it goes on from its log. Nobody spins: who waits looks for messages every 0.2 ms, so that more processes than
/// cores do no harm.
class mpi_transport {
public:
  /// Throws errc::device if MPI cannot be initialised, or was before.
  mpi_transport() {
    int already = 0, provided = 0;
    MPI_Initialized(&already);
    if (already) throw error(errc::device, "MPI", "to be initialised here", "one that is initialised");
    require(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    require(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "MPI_Comm_rank");
    require(MPI_Comm_size(MPI_COMM_WORLD, &size_), "MPI_Comm_size");
    MPI_Comm machine = MPI_COMM_NULL;
    require(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &machine),
            "MPI_Comm_split_type");
    MPI_Comm_rank(machine, &local_rank_);
    MPI_Comm_free(&machine);
  }
  mpi_transport(const mpi_transport&) = delete;
  mpi_transport& operator=(const mpi_transport&) = delete;
  ~mpi_transport() {
    for (pending& p : sending_) MPI_Wait(&p.request, MPI_STATUS_IGNORE);
    MPI_Finalize();
  }

  int rank() const noexcept { return rank_; }
  int size() const noexcept { return size_; }
  /// Among the processes of this machine: which of its GPUs is this one's.
  int local_rank() const noexcept { return local_rank_; }

  /// Throws errc::invalid_argument for a member that there is not or a message above 2 GiB, errc::device for what MPI
  /// refuses.
  void send(int to, std::string body) {
    require_argument(to >= 0 && to < size_, "farm", text("a member below ", size_), to);
    require_argument(body.size() <= std::size_t{std::numeric_limits<int>::max()}, "farm", "a message of at most 2 GiB",
                     body.size(), " bytes");
    reap();
    sending_.push_back({std::move(body), MPI_REQUEST_NULL});
    pending& p = sending_.back();
    require(MPI_Isend(p.body.data(), static_cast<int>(p.body.size()), MPI_BYTE, to, 0, MPI_COMM_WORLD, &p.request),
            "MPI_Isend");
  }

  std::optional<message> receive(std::chrono::milliseconds longest) {
    const auto end = std::chrono::steady_clock::now() + longest;
    for (;;) {
      reap();
      MPI_Status status;
      int there = 0, bytes = 0;
      require(MPI_Iprobe(MPI_ANY_SOURCE, 0, MPI_COMM_WORLD, &there, &status), "MPI_Iprobe");
      if (there) {
        MPI_Get_count(&status, MPI_BYTE, &bytes);
        message m{status.MPI_SOURCE, std::string(static_cast<std::size_t>(bytes), '\0'), false};
        require(MPI_Recv(m.body.data(), bytes, MPI_BYTE, m.from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE), "MPI_Recv");
        return m;
      }
      if (std::chrono::steady_clock::now() >= end) return std::nullopt;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }

private:
  struct pending {
    std::string body; // must stay until the request has ended
    MPI_Request request;
  };

  static void require(int code, const char* what) {
    if (code == MPI_SUCCESS) return;
    char said[MPI_MAX_ERROR_STRING];
    int length = 0;
    MPI_Error_string(code, said, &length);
    throw error(errc::device, what, "success", std::string(said, static_cast<std::size_t>(length)));
  }

  void reap() {
    for (auto p = sending_.begin(); p != sending_.end();) {
      int done = 0;
      require(MPI_Test(&p->request, &done, MPI_STATUS_IGNORE), "MPI_Test");
      p = done ? sending_.erase(p) : std::next(p);
    }
  }

  int rank_ = 0, size_ = 1, local_rank_ = 0;
  std::list<pending> sending_;
};

static_assert(transport<mpi_transport>);

} // namespace dynofa::farm
