// Events of the shoal as JSON (docs/api.md). Pure; any thread.
#pragma once

#include <string>

#include "coordinator/event.h"

namespace shoal::api {

std::string events_json(const coordinator::EventPage& page);

}  // namespace shoal::api
