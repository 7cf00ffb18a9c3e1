// Goal: a device keeps its id for life, and a damaged key file is reported, never replaced.
#include "net/identity.h"

#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/random.h"

namespace shoal::net {
namespace {

using ::testing::HasSubstr;

class IdentityTest : public ::testing::Test {
 protected:
  IdentityTest()
      : directory_(std::filesystem::temp_directory_path() / ("shoal-identity-" + to_hex(secure_random(8)))) {}
  ~IdentityTest() override { std::filesystem::remove_all(directory_); }
  std::filesystem::path file() const { return directory_ / "identity.pem"; }

  const std::filesystem::path directory_;
};

TEST_F(IdentityTest, IsMadeOnceAndKept) {
  const auto first = Identity::load_or_create(directory_ / "deep" / "er");
  ASSERT_TRUE(first.ok()) << first.error().message;
  const auto second = Identity::load_or_create(directory_ / "deep" / "er");
  ASSERT_TRUE(second.ok()) << second.error().message;
  EXPECT_EQ(first->id(), second->id());
  EXPECT_EQ(first->key_pem(), second->key_pem());
  EXPECT_EQ(first->certificate_pem(), second->certificate_pem());
  struct stat status;
  ASSERT_EQ(stat((directory_ / "deep" / "er" / "identity.pem").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(IdentityTest, EveryDeviceHasItsOwn) {
  EXPECT_NE(Identity::generate().id(), Identity::generate().id());
}

TEST_F(IdentityTest, DamageIsReportedAndLeftAlone) {
  const Identity a = Identity::generate(), b = Identity::generate();
  ASSERT_TRUE(make_directories(directory_).ok());
  for (const std::string& content :
       {std::string(), std::string("garbage"), a.key_pem(), a.certificate_pem(), a.key_pem() + b.certificate_pem(),
        a.key_pem().substr(0, 60) + a.certificate_pem()}) {
    ASSERT_TRUE(write_file_atomic(file(), content).ok());
    const auto loaded = Identity::load_or_create(directory_);
    ASSERT_FALSE(loaded.ok()) << content;
    EXPECT_EQ(loaded.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(loaded.error().message, HasSubstr(file().string()));
    EXPECT_EQ(read_file(file(), 1 << 20).value(), content);
  }
}

}  // namespace
}  // namespace shoal::net
