// expect: dynofa: this backend's calibration is not known here: include the header that declares its open_calibration
#include "dynofa/backend/reference.hpp"
#ifndef DYNOFA_BAD
#include "dynofa/backend/reference_calibration.hpp"
#endif
#include "dynofa/calibrate/calibrator.hpp"

using namespace dynofa;

bn_statistics use(const calibrator<backend::reference>& c) { return c.statistics(); }
