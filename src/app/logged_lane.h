// LoggedLane: another lane, with one line of the daemon's log for each request that ends. Figures
// only: what was asked and answered is nobody's business.
#pragma once

#include <memory>

#include "lane/lane.h"

namespace trilane::app {

std::shared_ptr<lane::Lane> logged(std::shared_ptr<lane::Lane> lane);

}  // namespace trilane::app
