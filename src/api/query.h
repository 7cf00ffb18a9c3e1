// From the query of a GET's target ("/path?field=number&...") to what is asked for. Pure functions; any thread. Unknown
// fields are ignored; of a field that comes twice the last one counts; a field that is not as stated is a 400 that
// names it.
#pragma once

#include <chrono>
#include <string_view>

#include "api/error.h"
#include "coordinator/event.h"

namespace shoal::api {

// GET /shoal/v1/trace: for how long steps are recorded.
struct TraceWindow {
  std::chrono::seconds length{10};
};
// seconds=1 .. kTraceWindowMax
ApiResult<TraceWindow> parse_trace_request(std::string_view target);

// GET /shoal/v1/events: which, and how long to wait for one where there is none.
inline constexpr std::chrono::seconds kEventsWaitMax{60};
struct EventsRequest {
  coordinator::EventQuery query;
  std::chrono::seconds wait{0};
};
// after=0 .. 2^53; limit=1 .. kEventsPerPageMax; since_s=1 .. kEventsSinceMax; wait_s=0 .. kEventsWaitMax, only with
// after.
ApiResult<EventsRequest> parse_events_request(std::string_view target);

}  // namespace shoal::api
