// LoggedService: another service, with one line of the daemon's log for each request that ends.
// Figures only: what was asked and answered is nobody's business.
#pragma once

#include <memory>

#include "plane/service.h"

namespace trilane::app {

std::shared_ptr<plane::Service> logged(std::shared_ptr<plane::Service> service);

}  // namespace trilane::app
