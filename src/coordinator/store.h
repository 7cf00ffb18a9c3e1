// What the coordinator must remember: paired nodes, join tokens, hashes of models, requests with an idempotency key,
// events. SQLite in WAL mode, synced on every commit (synchronous = FULL: the WAL before the commit returns, its folder
// when it is made), so that kill -9 and power loss lose nothing that was promised. Owned by the io thread; every call
// is short.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/stage_spec.h"
#include "coordinator/event.h"
#include "coordinator/keyed_request.h"

struct sqlite3;

namespace shoal::coordinator {

struct KnownNode {
  NodeId id;
  std::string name;
  std::int64_t paired_unix_seconds = 0;
  std::int64_t seen_unix_seconds = 0;
  bool paused = false;
};

class Store {
 public:
  // Opens or makes `directory`/shoal.db. kCorrupt: not a database of Shoal, or of a newer version (says which).
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& directory);
  ~Store();

  Result<std::vector<KnownNode>> nodes();
  Status see_node(const NodeId& id, const std::string& name, std::int64_t now_unix_seconds);
  Status pause_node(const NodeId& id, bool paused);  // stays so until it is paired anew
  // The key is paired no more, and a token that it used does not pair it again. Nothing happens where it was not
  // paired.
  Status forget_node(const NodeId& id);

  // Only the hash of a secret is kept.
  Status add_token(ByteSpan secret, std::int64_t expires_unix_seconds);
  // Uses the token up and pairs the node, in one transaction. kUnauthenticated: unknown, used or expired (says which).
  Status redeem_token(ByteSpan secret, const NodeId& node, const std::string& name, std::int64_t now_unix_seconds);

  // Tensor hashes of a model file set that was hashed before; `key` names path, size and time of change.
  Result<std::optional<std::vector<Digest>>> find_hashes(const std::string& key);
  Status keep_hashes(const std::string& key, const std::vector<Digest>& hashes);

  // What exact kernels cost; `key` names kernel family and weight types. At most kKernelCostsMax are kept.
  static constexpr std::int64_t kKernelCostsMax = 256;
  Result<std::optional<KernelCost>> find_kernel_cost(const std::string& key);
  Status keep_kernel_cost(const std::string& key, const KernelCost& cost);

  // The request that was kept under this key; where there is none (any more), `fresh`, which is kept from now on. Of
  // the newest kKeyedRequestsMax, those that are kKeyedRequestSecondsMax old at the most by `fresh`'s time.
  Result<KeyedRequest> claim_key(const std::string& key, const KeyedRequest& fresh);

  // Adds events, in one commit, and forgets all but the newest kEventsKeptMax.
  Status keep_events(std::span<const Event> events);
  // Above `after` and not older than `since_unix_ms`, oldest first, `limit` of them at most. Rows that are damaged are
  // left out.
  Result<std::vector<Event>> events(std::uint64_t after, std::int64_t since_unix_ms, std::size_t limit);
  Result<std::uint64_t> newest_event();  // its number; 0: there is none

 private:
  explicit Store(sqlite3* database) : database_(database) {}
  Status migrate();
  Status in_transaction(std::string_view doing, const std::function<Status()>& work);

  sqlite3* database_;
};

}  // namespace shoal::coordinator
