// `shoal token create`: a join link for one new device.
#include <cstdio>

#include <unistd.h>
#include <nlohmann/json.hpp>

#include "cli/api_client.h"
#include "cli/verb.h"
#include "net/join_link.h"

namespace shoal::cli {
namespace {

struct Options {
  std::string state;
  std::uint32_t minutes = 10;
  bool qr = false;
};

Status create(const Options& options) {
  SHOAL_ASSIGN_OR_RETURN(ApiClient client, ApiClient::of(options.state));
  SHOAL_ASSIGN_OR_RETURN(auto answer, client.post("/shoal/v1/tokens", {{"ttl_seconds", options.minutes * 60}}));
  std::string link = answer.value("link", "");
  std::printf("%s\n", link.c_str());
  if (options.qr || ::isatty(STDOUT_FILENO)) {
    SHOAL_ASSIGN_OR_RETURN(std::string code, net::qr_code(link));
    std::printf("\n%s\nOn the new device: shoal join LINK   (works once, for %u minutes)\n", code.c_str(),
                options.minutes);
  }
  return {};
}

}  // namespace

void add_token(CLI::App& app, Context& context) {
  auto* token = app.add_subcommand("token", "Join links for new devices");
  token->require_subcommand(1);
  auto options = std::make_shared<Options>();
  auto* verb = token->add_subcommand("create", "Print a join link that works once (and its QR code on a terminal)");
  verb->add_option("--minutes", options->minutes, "How long the link works")
      ->check(CLI::Range(1u, 43200u))
      ->capture_default_str();
  verb->add_flag("--qr", options->qr, "Print the QR code although standard output is no terminal");
  verb->add_option("--state", options->state, "State directory of the coordinator");
  verb->callback([options, &context] { finish(context, create(*options)); });
}

}  // namespace shoal::cli
