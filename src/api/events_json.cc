#include "api/events_json.h"

#include <nlohmann/json.hpp>

namespace shoal::api {
namespace {

using Json = nlohmann::ordered_json;

template <typename T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

Json event_object(const coordinator::Event& event) {
  return {{"number", event.number},
          {"unix_ms", event.unix_ms},
          {"kind", to_string(event.kind)},
          {"node", event.node ? Json(event.node->hex()) : Json()},
          {"node_name", event.node ? Json(event.node_name) : Json()},
          {"text", event.text},
          {"duration_ms", or_null(event.duration_ms)},
          {"epoch", event.epoch ? Json(event.epoch->value) : Json()},
          {"times", event.times}};
}

}  // namespace

std::string events_json(const coordinator::EventPage& page) {
  Json events = Json::array();
  for (const auto& event : page.events) events.push_back(event_object(event));
  const Json answer = {{"events", std::move(events)}, {"newest", page.newest}};
  return answer.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace shoal::api
