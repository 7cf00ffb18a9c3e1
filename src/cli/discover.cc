// `shoal discover`: which coordinators announce themselves on this LAN.
#include <cstdio>

#include "cli/verb.h"
#include "net/discovery.h"

namespace shoal::cli {
namespace {

Status discover(std::uint32_t seconds) {
  boost::asio::io_context io(1);
  Result<std::vector<net::Announcement>> found = std::vector<net::Announcement>();
  net::discover(io, std::chrono::seconds(seconds), [&](Result<std::vector<net::Announcement>> answer) {
    found = std::move(answer);
    io.stop();
  });
  io.run();
  SHOAL_ASSIGN_OR_RETURN(auto announcements, std::move(found));
  if (announcements.empty()) {
    return Error{ErrorCode::kNotFound,
                 "no coordinator announces itself here; some access points keep devices apart: use the "
                 "address in the join link then"};
  }
  for (const auto& announcement : announcements) {
    std::vector<std::string> addresses;
    for (const auto& endpoint : announcement.endpoints) addresses.push_back(endpoint.text());
    std::printf("%-20s %s  %s\n", announcement.instance.c_str(), announcement.id.short_hex().c_str(),
                fmt::format("{}", fmt::join(addresses, " ")).c_str());
  }
  return {};
}

}  // namespace

void add_discover(CLI::App& app, Context& context) {
  auto seconds = std::make_shared<std::uint32_t>(2);
  auto* verb = app.add_subcommand("discover", "List the coordinators on this LAN (mDNS)");
  verb->add_option("--seconds", *seconds, "How long to listen for answers")
      ->check(CLI::Range(1u, 60u))
      ->capture_default_str();
  verb->callback([seconds, &context] { finish(context, discover(*seconds)); });
}

}  // namespace shoal::cli
