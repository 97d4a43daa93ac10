#pragma once
#include <pthread.h>

#include <cstddef>

namespace support {

/// While it lives, the system starts no thread of this process: no machine has room for a stack of the size asked for.
class no_more_threads {
public:
  no_more_threads() {
    pthread_attr_t huge;
    pthread_getattr_default_np(&usual_);
    pthread_getattr_default_np(&huge);
    pthread_attr_setstacksize(&huge, std::size_t{1} << 46);
    pthread_setattr_default_np(&huge);
    pthread_attr_destroy(&huge);
  }
  no_more_threads(const no_more_threads&) = delete;
  no_more_threads& operator=(const no_more_threads&) = delete;
  ~no_more_threads() {
    pthread_setattr_default_np(&usual_);
    pthread_attr_destroy(&usual_);
  }

private:
  pthread_attr_t usual_;
};

/// What whoever wants four threads then says.
inline constexpr const char* no_four_threads = "threads: expected to start 4, got Resource temporarily unavailable";

} // namespace support
