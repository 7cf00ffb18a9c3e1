// `shoal node list` and `shoal node revoke`: the devices that are paired with a coordinator.
#include <cstdio>
#include <ctime>
#include <vector>

#include <fmt/chrono.h>
#include <nlohmann/json.hpp>

#include "cli/api_client.h"
#include "cli/verb.h"

namespace shoal::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kIdPrefixMin = 8;  // what `shoal status` shows of an id
constexpr std::size_t kIdsToldMax = 8;

struct Options {
  std::string state;
  bool json = false;
  std::string node;
};

struct PairedNode {
  std::string id;
  std::string name;
  std::string state;
  std::int64_t paired_unix_seconds = 0;
  std::int64_t seen_unix_seconds = 0;
};

Result<std::vector<PairedNode>> paired_nodes(ApiClient& client) {
  SHOAL_ASSIGN_OR_RETURN(json status, client.get("/shoal/v1/status"));
  std::vector<PairedNode> nodes;
  try {
    for (const auto& node : status.at("nodes")) {
      nodes.push_back({node.at("id"), node.at("name"), node.at("state"), node.at("paired_unix_seconds"),
                       node.at("seen_unix_seconds")});
    }
  } catch (const json::exception& error) {  // another version's answer
    return Error{ErrorCode::kVersionMismatch,
                 fmt::format("the coordinator's list of nodes is not understood: {}", error.what())};
  }
  return nodes;
}

std::string time_text(std::int64_t unix_seconds) {
  const std::time_t time = unix_seconds;
  std::tm local{};
  if (unix_seconds <= 0 || ::localtime_r(&time, &local) == nullptr) return "-";
  return fmt::format("{:%Y-%m-%d %H:%M}", local);
}

Status list(const Options& options) {
  SHOAL_ASSIGN_OR_RETURN(ApiClient client, ApiClient::of(options.state));
  SHOAL_ASSIGN_OR_RETURN(auto nodes, paired_nodes(client));
  if (options.json) {
    json all = json::array();
    for (const auto& node : nodes) {
      all.push_back({{"id", node.id},
                     {"name", node.name},
                     {"state", node.state},
                     {"paired_unix_seconds", node.paired_unix_seconds},
                     {"seen_unix_seconds", node.seen_unix_seconds}});
    }
    std::printf("%s\n", all.dump(2).c_str());
    return {};
  }
  std::printf("%-20s %-9s %-10s %-17s %s\n", "node", "id", "state", "paired", "last seen");
  for (const auto& node : nodes) {
    const std::string seen = node.state == "connected" ? "now" : time_text(node.seen_unix_seconds);
    std::printf("%-20s %-9s %-10s %-17s %s\n", node.name.c_str(), node.id.substr(0, kIdPrefixMin).c_str(),
                node.state.c_str(), time_text(node.paired_unix_seconds).c_str(), seen.c_str());
  }
  return {};
}

// The one node that `wanted` names: by its whole id, else by its name or the beginning of its id.
Result<PairedNode> find_node(const std::vector<PairedNode>& nodes, const std::string& wanted) {
  std::vector<PairedNode> found;
  for (const auto& node : nodes) {
    if (node.id == wanted) return node;
    if (node.name == wanted || (wanted.size() >= kIdPrefixMin && node.id.starts_with(wanted))) found.push_back(node);
  }
  if (found.size() == 1) return found[0];
  if (found.empty()) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("no paired node has the name or id {}; `shoal node list` shows them", wanted)};
  }
  std::string ids;
  for (std::size_t i = 0; i < found.size() && i < kIdsToldMax; ++i) {
    ids += fmt::format("{}{} ({})", i == 0 ? "" : ", ", found[i].id.substr(0, 2 * kIdPrefixMin), found[i].state);
  }
  if (found.size() > kIdsToldMax) ids += fmt::format(" and {} more", found.size() - kIdsToldMax);
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("{} paired nodes go by {}; name one by its id: {}", found.size(), wanted, ids)};
}

Status revoke(const Options& options) {
  SHOAL_ASSIGN_OR_RETURN(ApiClient client, ApiClient::of(options.state));
  SHOAL_ASSIGN_OR_RETURN(auto nodes, paired_nodes(client));
  SHOAL_ASSIGN_OR_RETURN(PairedNode node, find_node(nodes, options.node));
  SHOAL_ASSIGN_OR_RETURN(json answer, client.remove("/shoal/v1/nodes/" + node.id));
  std::printf("%s (%s) is revoked: its links are cut, and only a new join link lets it in again\n", node.name.c_str(),
              node.id.substr(0, kIdPrefixMin).c_str());
  return {};
}

}  // namespace

void add_node(CLI::App& app, Context& context) {
  auto* node = app.add_subcommand("node", "The devices that are paired with a running coordinator");
  node->require_subcommand(1);
  auto options = std::make_shared<Options>();
  auto* listing = node->add_subcommand("list", "Name, id, state, when paired and when last seen");
  listing->add_flag("--json", options->json, "As JSON");
  auto* revoking = node->add_subcommand("revoke", "Forget a device's key and cut its links at once");
  revoking->add_option("node", options->node, "Its name, or its id or the first 8 digits of that")->required();
  for (auto* verb : {listing, revoking}) {
    verb->add_option("--state", options->state, "State directory of the coordinator");
  }
  listing->callback([options, &context] { finish(context, list(*options)); });
  revoking->callback([options, &context] { finish(context, revoke(*options)); });
}

}  // namespace shoal::cli
