// Goal: the rate is that of the last ten seconds, from the first token on, whenever it is asked for.
#include "coordinator/token_rate.h"

#include <gtest/gtest.h>

namespace shoal::coordinator {
namespace {

Time at(double seconds) {
  return Time(std::chrono::microseconds(static_cast<std::int64_t>(seconds * 1e6)));
}

TEST(TokenRate, IsNothingBeforeTheFirstToken) {
  EXPECT_EQ(TokenRate().per_second(at(0)), 0);
  EXPECT_EQ(TokenRate().per_second(at(1e6)), 0);
}

TEST(TokenRate, CountsFromTheFirstTokenUntilTheWindowIsFull) {
  TokenRate rate;
  for (int i = 0; i < 40; ++i) rate.add(at(100 + i * 0.1), 1);  // ten a second for four seconds
  EXPECT_DOUBLE_EQ(rate.per_second(at(103.9)), 10);
  EXPECT_DOUBLE_EQ(rate.per_second(at(109.9)), 4) << "40 tokens in the ten seconds";
}

TEST(TokenRate, ForgetsWhatIsOlderThanTenSeconds) {
  TokenRate rate;
  rate.add(at(100), 100);
  rate.add(at(105), 50);
  EXPECT_DOUBLE_EQ(rate.per_second(at(109)), 15);
  EXPECT_DOUBLE_EQ(rate.per_second(at(110)), 5);
  EXPECT_DOUBLE_EQ(rate.per_second(at(114.9)), 5);
  EXPECT_DOUBLE_EQ(rate.per_second(at(115)), 0);
}

TEST(TokenRate, ReusesABucketOfTenSecondsAgo) {
  TokenRate rate;
  rate.add(at(100), 100);
  rate.add(at(110), 20);  // the same bucket
  EXPECT_DOUBLE_EQ(rate.per_second(at(110)), 2);
  rate.add(at(500), 30);  // after a long silence the window still begins ten seconds ago
  EXPECT_DOUBLE_EQ(rate.per_second(at(500)), 3);
}

}  // namespace
}  // namespace shoal::coordinator
