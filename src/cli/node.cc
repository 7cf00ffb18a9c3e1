// `shoal node list`, `pause`, `resume` and `revoke`: the devices that are paired with a coordinator.
#include <cstdio>
#include <ctime>
#include <vector>

#include <fmt/chrono.h>
#include <nlohmann/json.hpp>

#include "cli/api_client.h"
#include "cli/node_text.h"
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
  bool paused = false;
  bool hosts = false;  // layers
  json care;
  std::string state_text;  // in one word
  std::string care_text;
};

Result<std::vector<PairedNode>> paired_nodes(const json& status) {
  std::vector<PairedNode> nodes;
  try {
    for (const auto& node : status.at("nodes")) {
      nodes.push_back({node.at("id"), node.at("name"), node.at("state"), node.at("paired_unix_seconds"),
                       node.at("seen_unix_seconds"), node.at("paused"), !node.at("layers").is_null(), node.at("care"),
                       node_state_text(node), care_text(node)});
    }
  } catch (const json::exception& error) {  // another version's answer
    return Error{ErrorCode::kVersionMismatch,
                 fmt::format("the coordinator's list of nodes is not understood: {}", error.what())};
  }
  return nodes;
}

Result<std::vector<PairedNode>> paired_nodes(ApiClient& client) {
  SHOAL_ASSIGN_OR_RETURN(const json status, client.get("/shoal/v1/status"));
  return paired_nodes(status);
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
                     {"seen_unix_seconds", node.seen_unix_seconds},
                     {"paused", node.paused},
                     {"care", node.care}});
    }
    std::printf("%s\n", all.dump(2).c_str());
    return {};
  }
  std::printf("%-20s %-9s %-12s %-17s %s\n", "node", "id", "state", "paired", "last seen");
  for (const auto& node : nodes) {
    const std::string seen = node.state == "connected" ? "now" : time_text(node.seen_unix_seconds);
    std::printf("%-20s %-9s %-12s %-17s %s\n", node.name.c_str(), node.id.substr(0, kIdPrefixMin).c_str(),
                node.state_text.c_str(), time_text(node.paired_unix_seconds).c_str(), seen.c_str());
  }
  for (const auto& node : nodes) {
    if (!node.care_text.empty()) std::printf("%s\n", node.care_text.c_str());
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

// What comes of it.
const char* outlook(const PairedNode& node, bool paused, bool stuck) {
  if (!paused) return node.hosts ? "it keeps its layers" : "a spare node, until it is needed";
  if (!node.hosts) return "it hosts nothing, and is given nothing until it is resumed";
  return stuck ? "but nobody can take its layers, so it serves on"
               : "it hosts nothing as soon as another node has its layers";
}

Status pause(const Options& options, bool paused) {
  SHOAL_ASSIGN_OR_RETURN(ApiClient client, ApiClient::of(options.state));
  SHOAL_ASSIGN_OR_RETURN(auto nodes, paired_nodes(client));
  SHOAL_ASSIGN_OR_RETURN(PairedNode node, find_node(nodes, options.node));
  const std::string path = fmt::format("/shoal/v1/nodes/{}/{}", node.id, paused ? "pause" : "resume");
  SHOAL_ASSIGN_OR_RETURN(json answer, client.post(path, json::object()));
  SHOAL_ASSIGN_OR_RETURN(const json status, client.get("/shoal/v1/status"));
  SHOAL_ASSIGN_OR_RETURN(nodes, paired_nodes(status));
  SHOAL_ASSIGN_OR_RETURN(node, find_node(nodes, node.id));  // what it hosts by now
  const std::string why = paused && node.hosts ? status.value("why_not_moved", "") : "";
  std::printf("%s (%s) is %s: %s\n", node.name.c_str(), node.id.substr(0, kIdPrefixMin).c_str(),
              paused ? "paused" : "resumed", outlook(node, paused, !why.empty()));
  if (!why.empty()) std::printf("%s\n", why.c_str());
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
  auto* pausing =
      node->add_subcommand("pause", "Let a device host nothing until it is resumed; its work moves away first");
  auto* resuming = node->add_subcommand("resume", "Let a paused device host layers again");
  for (auto* verb : {pausing, resuming}) {
    verb->add_option("node", options->node, "Its name, or its id or the first 8 digits of that")->required();
  }
  for (auto* verb : {listing, pausing, resuming, revoking}) {
    verb->add_option("--state", options->state, "State directory of the coordinator");
  }
  listing->callback([options, &context] { finish(context, list(*options)); });
  pausing->callback([options, &context] { finish(context, pause(*options, true)); });
  resuming->callback([options, &context] { finish(context, pause(*options, false)); });
  revoking->callback([options, &context] { finish(context, revoke(*options)); });
}

}  // namespace shoal::cli
