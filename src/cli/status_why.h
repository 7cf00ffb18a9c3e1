// `shoal status --why`: what was decided, and by which numbers.
#pragma once

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace shoal::cli {

// `status`: GET /shoal/v1/status
Status print_why(const nlohmann::json& status);

}  // namespace shoal::cli
