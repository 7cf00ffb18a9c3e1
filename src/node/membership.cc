#include "node/membership.h"

#include <nlohmann/json.hpp>

#include "base/file.h"

namespace shoal::node {
namespace {

std::filesystem::path file_of(const std::filesystem::path& state_directory) {
  return state_directory / "membership.json";
}

}  // namespace

Result<std::optional<Membership>> Membership::load(const std::filesystem::path& state_directory) {
  auto path = file_of(state_directory);
  auto text = read_file(path, 64 << 10);
  if (!text.ok()) {
    if (text.error().code == ErrorCode::kNotFound) return std::optional<Membership>();
    return text.error();
  }
  Error damaged{ErrorCode::kCorrupt, path.string() + " is damaged; remove it and join again with a new link"};
  auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object() || !json.contains("coordinator") || !json["coordinator"].is_string()) return damaged;
  Membership membership;
  auto id = Digest::from_hex(json["coordinator"].get<std::string>());
  if (!id.ok()) return damaged;
  membership.coordinator = NodeId{*id};
  if (json.contains("name") && json["name"].is_string()) membership.coordinator_name = json["name"];
  if (json.contains("endpoints") && json["endpoints"].is_array()) {
    for (const auto& entry : json["endpoints"]) {
      if (!entry.is_string()) return damaged;
      auto endpoint = net::Endpoint::parse(entry.get<std::string>());
      if (!endpoint.ok()) return damaged;
      membership.endpoints.push_back(*endpoint);
    }
  }
  return std::optional<Membership>(std::move(membership));
}

Status Membership::save(const std::filesystem::path& state_directory) const {
  nlohmann::json json = {
      {"coordinator", coordinator.hex()}, {"name", coordinator_name}, {"endpoints", nlohmann::json::array()}};
  for (const auto& endpoint : endpoints) json["endpoints"].push_back(endpoint.text());
  return write_file_atomic(file_of(state_directory), json.dump(2) + "\n");
}

}  // namespace shoal::node
