// Goal: what a query asks for is taken exactly, and what is no number in its range is refused by name.
#include "api/query.h"

#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace shoal::api {
namespace {

const char* const kNoNumbers[] = {"",    "-1",      "+5", "1.5", "5s", " 5", "0x5", "99999999999999999999999",
                                  "%35", "\xc3\xbf"};

TEST(TraceRequest, WindowIsOneSecondToAMinute) {
  const auto seconds = [](std::string_view target) {
    return std::get<TraceWindow>(parse_trace_request(target)).length.count();
  };
  EXPECT_EQ(seconds("/shoal/v1/trace"), 10);
  EXPECT_EQ(seconds("/shoal/v1/trace?"), 10);
  EXPECT_EQ(seconds("/shoal/v1/trace?seconds=1"), 1);
  EXPECT_EQ(seconds("/shoal/v1/trace?x=&seconds=60&y#seconds=0"), 60);
  std::vector<std::string> values(std::begin(kNoNumbers), std::end(kNoNumbers));
  values.insert(values.end(), {"0", "61"});
  for (const std::string& value : values) {
    const auto refused = parse_trace_request("/shoal/v1/trace?seconds=" + value);
    ASSERT_TRUE(std::holds_alternative<ApiError>(refused)) << value;
    EXPECT_EQ(std::get<ApiError>(refused).status, 400u);
    EXPECT_EQ(std::get<ApiError>(refused).param, "seconds");
    EXPECT_NE(std::get<ApiError>(refused).message.find("from 1 to 60"), std::string::npos);
  }
}

EventsRequest events(std::string_view query) {
  return std::get<EventsRequest>(parse_events_request("/shoal/v1/events" + std::string(query)));
}

TEST(EventsRequest, AsksForTheNewestUnlessToldOtherwise) {
  const EventsRequest plain = events("");
  EXPECT_FALSE(plain.query.after);
  EXPECT_FALSE(plain.query.since);
  EXPECT_EQ(plain.query.limit, 100u);
  EXPECT_EQ(plain.wait.count(), 0);
  const EventsRequest all = events("?x=1&after=0&limit=1000&wait_s=60&since_s=86400");
  EXPECT_EQ(all.query.after, 0u);
  EXPECT_EQ(all.query.limit, 1000u);
  EXPECT_EQ(all.query.since, std::chrono::hours(24));
  EXPECT_EQ(all.wait, kEventsWaitMax);
  EXPECT_EQ(events("?after=1&after=2").query.after, 2u) << "the last one counts";
  EXPECT_FALSE(events("?afterwards=3&xafter=4&after").query.after);
}

TEST(EventsRequest, RefusesWhatIsNotInRangeByName) {
  const auto refused = [](const std::string& name, const std::string& value) {
    const auto parsed = parse_events_request("/shoal/v1/events?after=1&" + name + "=" + value);
    const auto* error = std::get_if<ApiError>(&parsed);
    return error != nullptr && error->status == 400 && error->param == name &&
           error->message.find(name + " must be a whole number from ") == 0;
  };
  for (const std::string name : {"after", "limit", "since_s", "wait_s"}) {
    for (const std::string value : kNoNumbers) EXPECT_TRUE(refused(name, value)) << name << "=" << value;
  }
  EXPECT_TRUE(refused("limit", "0"));
  EXPECT_TRUE(refused("limit", "1001"));
  EXPECT_TRUE(refused("since_s", "0"));
  EXPECT_TRUE(refused("since_s", std::to_string(coordinator::kEventsSinceMax.count() + 1)));
  EXPECT_TRUE(refused("wait_s", "61"));
  EXPECT_TRUE(refused("after", "9007199254740993"));
  EXPECT_FALSE(refused("after", "9007199254740992"));
  const auto waiting = parse_events_request("/shoal/v1/events?wait_s=1");
  ASSERT_TRUE(std::holds_alternative<ApiError>(waiting)) << "after what?";
  EXPECT_EQ(std::get<ApiError>(waiting).param, "wait_s");
}

}  // namespace
}  // namespace shoal::api
