// Goal: what a node remembers of its shoal comes back as it was, and damage is said, not guessed around.
#include "node/membership.h"

#include "base/file.h"
#include "node/node_test_support.h"

namespace shoal::node {
namespace {

using ::testing::HasSubstr;

TEST(Membership, IsNoneBeforePairing) {
  model::TemporaryFolder folder;
  auto loaded = Membership::load(folder / "state");
  ASSERT_TRUE(loaded.ok());
  EXPECT_FALSE(loaded->has_value());
}

TEST(Membership, ComesBackAsItWasSaved) {
  model::TemporaryFolder folder;
  ASSERT_TRUE(make_directories(folder / "state").ok());
  Membership saved{NodeId{Sha256::of(as_bytes("key"))}, "Küche \"1\"", {{"192.168.1.7", 7420}, {"fd00::1", 1}}};
  ASSERT_TRUE(saved.save(folder / "state").ok());
  auto loaded = Membership::load(folder / "state");
  ASSERT_TRUE(loaded.ok() && *loaded);
  EXPECT_EQ((*loaded)->coordinator, saved.coordinator);
  EXPECT_EQ((*loaded)->coordinator_name, saved.coordinator_name);
  EXPECT_EQ((*loaded)->endpoints, saved.endpoints);
}

TEST(Membership, DamageIsSaidWithTheFileAndWhatToDo) {
  model::TemporaryFolder folder;
  ASSERT_TRUE(make_directories(folder / "state").ok());
  const std::string id = Sha256::of(as_bytes("key")).hex();
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("[]"), std::string("{\"coordinator\": 7}"),
        std::string("{\"coordinator\": \"ab\"}"), "{\"coordinator\": \"" + id + "\", \"endpoints\": [1]}",
        "{\"coordinator\": \"" + id + "\", \"endpoints\": [\"no port\"]}"}) {
    ASSERT_TRUE(write_file_atomic(folder / "state/membership.json", text).ok());
    auto loaded = Membership::load(folder / "state");
    ASSERT_FALSE(loaded.ok()) << text;
    EXPECT_EQ(loaded.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(loaded.error().message, HasSubstr("membership.json"));
    EXPECT_THAT(loaded.error().message, HasSubstr("join again"));
  }
}

}  // namespace
}  // namespace shoal::node
