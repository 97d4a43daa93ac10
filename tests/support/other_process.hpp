#pragma once
#include "dynofa/core/error.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <system_error>
#include <vector>

namespace support {

/// A program that works beside this one when it is told to: started at once, held from its first line of output on,
/// until `start`. Lives as long as the object, and no longer than this process.
class other_process {
public:
  explicit other_process(const std::vector<std::string>& command) {
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    int output[2];
    if (pipe(output) != 0) throw fault("a pipe", std::generic_category().message(errno));
    const pid_t parent = getpid();
    child_ = fork();
    if (child_ < 0) throw fault("to start it", std::generic_category().message(errno));
    if (child_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(1);
      dup2(output[1], STDOUT_FILENO);
      close(output[0]), close(output[1]);
      execvp(arguments[0], arguments.data());
      _exit(127);
    }
    close(output[1]);
    char c = 0;
    ssize_t got = 1;
    while (c != '\n' && (got == 1 || (got < 0 && errno == EINTR))) got = read(output[0], &c, 1);
    output_ = output[0]; // stays open: a closed pipe would kill whoever prints more
    if (c != '\n') {
      end();
      throw fault("a line from it when it is ready", "its end");
    }
    stop();
  }
  other_process(const other_process&) = delete;
  other_process& operator=(const other_process&) = delete;
  ~other_process() { end(); }

  void start() const { kill(child_, SIGCONT); }
  void stop() const { kill(child_, SIGSTOP); }

private:
  static dynofa::error fault(const char* expected, const std::string& got) {
    return {dynofa::errc::device, "other process", expected, got};
  }
  void end() {
    kill(child_, SIGKILL);
    while (waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
    }
    close(output_);
  }

  pid_t child_ = -1;
  int output_ = -1;
};

} // namespace support
