// expect: dynofa: this backend's observer is not known here: include the header that declares its open_observer
#include "dynofa/backend/reference.hpp"
#ifndef DYNOFA_BAD
#include "dynofa/backend/reference_calibration.hpp"
#endif
#include "dynofa/calibrate/record_ranges.hpp"

using namespace dynofa;

activation_ranges use(const supernet_ptr& net, const bn_statistics& statistics, const image_source& source) {
  return record_ranges(backend::reference{}, net, smallest(net->space), statistics, source);
}
