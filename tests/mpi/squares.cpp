// squares LOG OUT TASKS MS: a job of made-up tasks on MPI, whose results go to OUT in the tasks' order. Each task takes
// MS milliseconds; the process of rank 1 takes four times as long. The last line: who did how many, and the efficiency.
#include "dynofa/core/file.hpp"
#include "dynofa/farm/coordinator.hpp"
#include "dynofa/farm/mpi_transport.hpp"

#include <cstdlib>
#include <iostream>

using namespace dynofa;

int main(int argc, char** argv) try {
  if (argc != 5) throw error(errc::invalid_argument, "squares", "LOG OUT TASKS MS", text(argc - 1, " arguments"));
  const int count = std::atoi(argv[3]);
  const std::chrono::duration<double, std::milli> time(std::atof(argv[4]));
  farm::mpi_transport others;
  const auto work = [&](const farm::task& t) {
    std::this_thread::sleep_for(others.rank() == 1 ? 4 * time : time);
    const int i = t.input;
    return nlohmann::json{{"square", i * i}, {"root", std::sqrt(double(i))}};
  };
  if (others.rank() > 0) {
    farm::serve(others, work);
    return 0;
  }
  farm::result_log log(argv[1], {{"tasks", argv[3]}});
  farm::coordinator farm(others, log, work);
  std::vector<farm::task> tasks;
  for (int i = 0; i < count; ++i) tasks.push_back({text("square ", i), i});
  const auto start = std::chrono::steady_clock::now();
  std::string out;
  for (const auto& result : farm.map(tasks)) out += result.dump() + '\n';
  const std::chrono::duration<double, std::milli> wall = std::chrono::steady_clock::now() - start;
  replace_file(argv[2], out);
  std::size_t done = 0;
  for (const auto& a : farm.accounts()) done += a.tasks, std::cout << a.tasks << ' ';
  const double speed = others.size() == 1 ? 1 : others.size() - 2 + 0.25; // in workers that are not slow
  std::cout << "tasks, " << done << " in all, efficiency " << double(count) * time.count() / (speed * wall.count())
            << std::endl;
  return 0;
} catch (const std::exception& e) {
  std::cerr << e.what() << std::endl;
  MPI_Abort(MPI_COMM_WORLD, 1);
}
