// A trace as JSON in the Chrome trace event format, which ui.perfetto.dev and chrome://tracing open ("Trace Event
// Format", docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU). Pure; any thread.
//
// One process a node and one for the coordinator (pid 1), in it the tracks of its stages: link (to the stage), queue,
// compute, send. Complete events only ("X"), times in microseconds from the first step's sending on. Events of a track
// never overlap: where steps do, as in a queue, they are spread over several tracks of the same name. A part that took
// no time has no event. The coordinator's track "steps" has each step as a whole, its args say what is in it; the parts
// of step N have args {"step": N}. `otherData` is the summary (coordinator/trace_report.h): docs/api.md has its fields.
#pragma once

#include <string>

#include "coordinator/trace.h"

namespace shoal::api {

// About 100 bytes an event: 8 MiB for a full trace.
std::string trace_json(const coordinator::Trace& trace);

}  // namespace shoal::api
