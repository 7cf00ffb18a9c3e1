#include "coordinator/store.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/file.h"

namespace shoal::coordinator {
namespace {

// What makes schema n + 1 of schema n. Never changed once released; what is new goes to the end.
constexpr const char* kMigrations[] = {
    R"sql(
  CREATE TABLE node (id BLOB PRIMARY KEY, name TEXT NOT NULL, paired_at INTEGER NOT NULL, seen_at INTEGER NOT NULL) STRICT;
  CREATE TABLE join_token (secret_hash BLOB PRIMARY KEY, expires_at INTEGER NOT NULL, used_by BLOB) STRICT;
  CREATE TABLE model_hashes (key TEXT PRIMARY KEY, hashes BLOB NOT NULL) STRICT;
)sql",
    R"sql(
  CREATE TABLE kernel_cost (key TEXT PRIMARY KEY, measured INTEGER NOT NULL, cost REAL NOT NULL, left_out TEXT NOT NULL) STRICT;
)sql",
    R"sql(
  ALTER TABLE node ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
)sql",
    R"sql(
  CREATE TABLE event (number INTEGER PRIMARY KEY, unix_ms INTEGER NOT NULL, kind TEXT NOT NULL, node BLOB,
                      node_name TEXT NOT NULL, text TEXT NOT NULL, duration_ms INTEGER, epoch INTEGER,
                      times INTEGER NOT NULL) STRICT;
)sql",
    R"sql(
  CREATE TABLE keyed_request (number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, request BLOB NOT NULL,
                              decided_by BLOB NOT NULL, seed INTEGER NOT NULL, id INTEGER NOT NULL,
                              created_at INTEGER NOT NULL) STRICT;
  CREATE INDEX keyed_request_age ON keyed_request (created_at);
)sql",
};
constexpr std::int64_t kSchemaVersion = std::size(kMigrations);

Error database_error(sqlite3* database, std::string_view doing) {
  int code = sqlite3_errcode(database);
  ErrorCode kind = ErrorCode::kInternal;
  if (code == SQLITE_FULL) kind = ErrorCode::kResourceExhausted;
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) kind = ErrorCode::kCorrupt;
  return {kind, fmt::format("cannot {}: {}", doing, sqlite3_errmsg(database))};
}

// A prepared statement with its bindings; lives for one use.
class Statement {
 public:
  Statement(sqlite3* database, const char* sql) : database_(database) {
    sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(ByteSpan bytes) {
    sqlite3_bind_blob(statement_, ++bound_, bytes.data(), static_cast<int>(bytes.size()), SQLITE_TRANSIENT);
    return *this;
  }
  Statement& bind(const std::string& text) {
    sqlite3_bind_text(statement_, ++bound_, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
    return *this;
  }
  Statement& bind(std::int64_t number) {
    sqlite3_bind_int64(statement_, ++bound_, number);
    return *this;
  }
  Statement& bind(double number) {
    sqlite3_bind_double(statement_, ++bound_, number);
    return *this;
  }

  template <typename T>
  Statement& bind(const std::optional<T>& value) {
    if (value) return bind(*value);
    ++bound_;  // unbound is NULL
    return *this;
  }

  // True while there is a row.
  Result<bool> step(std::string_view doing) {
    int code = statement_ == nullptr ? SQLITE_ERROR : sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return database_error(database_, doing);
  }
  Status run(std::string_view doing) {
    SHOAL_ASSIGN_OR_RETURN([[maybe_unused]] bool row, step(doing));
    return {};
  }

  double real(int column) { return sqlite3_column_double(statement_, column); }
  std::int64_t integer(int column) { return sqlite3_column_int64(statement_, column); }
  bool is_null(int column) { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  ByteSpan blob(int column) {
    auto* bytes = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
    return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
  }
  std::string text(int column) { return std::string(as_text(blob(column))); }

 private:
  sqlite3* database_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
};

constexpr std::int64_t kEventNumberMax = std::int64_t{1} << 53;  // what JSON readers take exactly

// nullopt: nothing that we have written.
std::optional<Event> read_event(Statement& row) {
  Event event;
  const auto kind = parse_event_kind(as_text(row.blob(2)));
  const std::int64_t times = row.integer(8);
  if (!kind || row.blob(5).size() > kEventTextBytesMax || row.blob(4).size() > kEventTextBytesMax || times < 1 ||
      times > UINT32_MAX)
    return std::nullopt;
  if (!row.is_null(3)) {
    const auto node = Digest::from_bytes(row.blob(3));
    if (!node.ok()) return std::nullopt;
    event.node = NodeId{*node};
  }
  event.number = static_cast<std::uint64_t>(row.integer(0));
  event.unix_ms = row.integer(1);
  event.kind = *kind;
  event.node_name = row.text(4);
  event.text = row.text(5);
  if (!row.is_null(6)) event.duration_ms = row.integer(6);
  if (!row.is_null(7)) event.epoch = Epoch{static_cast<std::uint64_t>(row.integer(7))};
  event.times = static_cast<std::uint32_t>(times);
  return event;
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& directory) {
  SHOAL_RETURN_IF_ERROR(make_directories(directory));
  auto path = directory / "shoal.db";
  sqlite3* database = nullptr;
  int code = sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  std::unique_ptr<Store> store(new Store(database));
  if (code != SQLITE_OK) return database_error(database, "open " + path.string());
  sqlite3_busy_timeout(database, 5000);
  auto status = store->migrate();
  if (!status.ok()) {
    return Error{status.error().code, fmt::format("{}: {}; move it away to begin anew (nodes must then join again)",
                                                  path.string(), status.error().message)};
  }
  return store;
}

Store::~Store() {
  sqlite3_close(database_);
}

Status Store::migrate() {
  char* message = nullptr;
  auto execute = [&](const char* sql) { return sqlite3_exec(database_, sql, nullptr, nullptr, &message) == SQLITE_OK; };
  bool ok = execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
  sqlite3_free(message);
  if (!ok) return database_error(database_, "use it");
  Statement version(database_, "PRAGMA user_version");
  SHOAL_ASSIGN_OR_RETURN([[maybe_unused]] bool row, version.step("read its version"));
  std::int64_t found = version.integer(0);
  if (found < 0 || found > kSchemaVersion) {
    return Error{ErrorCode::kCorrupt, fmt::format("made by another version of shoal (schema {})", found)};
  }
  for (; found < kSchemaVersion; ++found) {
    ok = execute(
        fmt::format("BEGIN IMMEDIATE; {} PRAGMA user_version = {}; COMMIT;", kMigrations[found], found + 1).c_str());
    sqlite3_free(message);
    if (!ok) return database_error(database_, "make its tables");
  }
  return {};
}

// All of `work` or nothing of it.
Status Store::in_transaction(std::string_view doing, const std::function<Status()>& work) {
  SHOAL_RETURN_IF_ERROR(Statement(database_, "BEGIN IMMEDIATE").run(doing));
  auto status = work();
  if (status.ok()) status = Statement(database_, "COMMIT").run(doing);
  if (!status.ok()) (void)Statement(database_, "ROLLBACK").run(doing);
  return status;
}

Result<std::vector<KnownNode>> Store::nodes() {
  std::vector<KnownNode> nodes;
  Statement select(database_, "SELECT id, name, paired_at, seen_at, paused FROM node ORDER BY paired_at, id");
  while (true) {
    SHOAL_ASSIGN_OR_RETURN(bool row, select.step("read the nodes"));
    if (!row) return nodes;
    SHOAL_ASSIGN_OR_RETURN(Digest id, Digest::from_bytes(select.blob(0)));
    nodes.push_back({NodeId{id}, select.text(1), select.integer(2), select.integer(3), select.integer(4) != 0});
  }
}

Status Store::see_node(const NodeId& id, const std::string& name, std::int64_t now) {
  return Statement(database_, "UPDATE node SET name = ?2, seen_at = ?3 WHERE id = ?1")
      .bind(id.key.bytes)
      .bind(name)
      .bind(now)
      .run("remember a node");
}

Status Store::pause_node(const NodeId& id, bool paused) {
  return Statement(database_, "UPDATE node SET paused = ?2 WHERE id = ?1")
      .bind(id.key.bytes)
      .bind(std::int64_t{paused})
      .run("remember that a node is paused");
}
Status Store::forget_node(const NodeId& id) {
  return Statement(database_, "DELETE FROM node WHERE id = ?1").bind(id.key.bytes).run("forget a node");
}

Status Store::add_token(ByteSpan secret, std::int64_t expires) {
  SHOAL_RETURN_IF_ERROR(Statement(database_, "DELETE FROM join_token WHERE expires_at < ?1 - 86400")
                            .bind(expires)
                            .run("forget old join tokens"));
  return Statement(database_, "INSERT INTO join_token (secret_hash, expires_at) VALUES (?1, ?2)")
      .bind(Sha256::of(secret).bytes)
      .bind(expires)
      .run("keep a join token");
}

Status Store::redeem_token(ByteSpan secret, const NodeId& node, const std::string& name, std::int64_t now) {
  Digest hash = Sha256::of(secret);
  Statement select(database_, "SELECT expires_at, used_by FROM join_token WHERE secret_hash = ?1");
  select.bind(hash.bytes);
  SHOAL_ASSIGN_OR_RETURN(bool found, select.step("look up a join token"));
  constexpr std::string_view kAdvice = "get a new one with `shoal token create`";
  if (!found) return Error{ErrorCode::kUnauthenticated, fmt::format("this join link is unknown here; {}", kAdvice)};
  if (select.integer(0) < now)
    return Error{ErrorCode::kUnauthenticated, fmt::format("this join link has expired; {}", kAdvice)};
  if (!select.is_null(1)) {
    // The device may ask again when it never got our answer; one that was revoked since may not.
    Statement paired(database_, "SELECT 1 FROM node WHERE id = ?1");
    paired.bind(node.key.bytes);
    SHOAL_ASSIGN_OR_RETURN(bool is_paired, paired.step("look up a node"));
    if (is_paired && as_text(select.blob(1)) == as_text(node.key.bytes)) return {};
    return Error{ErrorCode::kUnauthenticated, fmt::format("this join link was already used; {}", kAdvice)};
  }
  return in_transaction("pair", [&]() -> Status {
    SHOAL_RETURN_IF_ERROR(Statement(database_, "UPDATE join_token SET used_by = ?2 WHERE secret_hash = ?1")
                              .bind(hash.bytes)
                              .bind(node.key.bytes)
                              .run("use a join token"));
    return Statement(database_,
                     "INSERT INTO node (id, name, paired_at, seen_at) VALUES (?1, ?2, ?3, ?3) "
                     "ON CONFLICT (id) DO UPDATE SET name = ?2, paired_at = ?3, seen_at = ?3")
        .bind(node.key.bytes)
        .bind(name)
        .bind(now)
        .run("remember a node");
  });
}

Result<std::optional<std::vector<Digest>>> Store::find_hashes(const std::string& key) {
  Statement select(database_, "SELECT hashes FROM model_hashes WHERE key = ?1");
  select.bind(key);
  SHOAL_ASSIGN_OR_RETURN(bool found, select.step("look up the model's hashes"));
  if (!found) return std::optional<std::vector<Digest>>();
  ByteSpan blob = select.blob(0);
  std::vector<Digest> hashes;
  for (std::size_t at = 0; at + 32 <= blob.size(); at += 32) {
    hashes.push_back(Digest::from_bytes(blob.subspan(at, 32)).value());
  }
  return std::optional<std::vector<Digest>>(std::move(hashes));
}

Status Store::keep_hashes(const std::string& key, const std::vector<Digest>& hashes) {
  Bytes blob;
  for (const auto& hash : hashes) blob.insert(blob.end(), hash.bytes.begin(), hash.bytes.end());
  return Statement(database_, "INSERT OR REPLACE INTO model_hashes (key, hashes) VALUES (?1, ?2)")
      .bind(key)
      .bind(ByteSpan(blob))
      .run("keep the model's hashes");
}

Result<std::optional<KernelCost>> Store::find_kernel_cost(const std::string& key) {
  Statement select(database_, "SELECT measured, cost, left_out FROM kernel_cost WHERE key = ?1");
  select.bind(key);
  SHOAL_ASSIGN_OR_RETURN(bool row, select.step("read what exact kernels cost"));
  if (!row) return std::optional<KernelCost>();
  return std::optional(KernelCost{select.integer(0) != 0, select.real(1), select.text(2)});
}

Status Store::keep_kernel_cost(const std::string& key, const KernelCost& cost) {
  SHOAL_RETURN_IF_ERROR(Statement(database_, "INSERT OR REPLACE INTO kernel_cost VALUES (?1, ?2, ?3, ?4)")
                            .bind(key)
                            .bind(std::int64_t{cost.measured})
                            .bind(cost.cost)
                            .bind(cost.left_out)
                            .run("keep what exact kernels cost"));
  return Statement(
             database_,
             "DELETE FROM kernel_cost WHERE rowid NOT IN (SELECT rowid FROM kernel_cost ORDER BY rowid DESC LIMIT ?1)")
      .bind(kKernelCostsMax)
      .run("forget old costs of kernels");
}

Result<KeyedRequest> Store::claim_key(const std::string& key, const KeyedRequest& fresh) {
  constexpr std::string_view kDoing = "keep an idempotency key";
  const std::int64_t oldest = fresh.created_unix_seconds - kKeyedRequestSecondsMax;
  Statement select(
      database_,
      "SELECT request, decided_by, seed, id, created_at FROM keyed_request WHERE key = ?1 AND created_at >= ?2");
  select.bind(key).bind(oldest);
  SHOAL_ASSIGN_OR_RETURN(const bool found, select.step(kDoing));
  if (found) {
    KeyedRequest kept;
    SHOAL_ASSIGN_OR_RETURN(kept.request, Digest::from_bytes(select.blob(0)));
    SHOAL_ASSIGN_OR_RETURN(kept.decided_by, Digest::from_bytes(select.blob(1)));
    kept.seed = static_cast<std::uint64_t>(select.integer(2));
    kept.id = static_cast<std::uint64_t>(select.integer(3));
    kept.created_unix_seconds = select.integer(4);
    return kept;
  }
  const auto keep = [&]() -> Status {
    SHOAL_RETURN_IF_ERROR(
        Statement(database_, "DELETE FROM keyed_request WHERE created_at < ?1").bind(oldest).run(kDoing));
    SHOAL_RETURN_IF_ERROR(Statement(database_,
                                    "INSERT INTO keyed_request (key, request, decided_by, seed, id, created_at) "
                                    "VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
                              .bind(key)
                              .bind(ByteSpan(fresh.request.bytes))
                              .bind(ByteSpan(fresh.decided_by.bytes))
                              .bind(static_cast<std::int64_t>(fresh.seed))
                              .bind(static_cast<std::int64_t>(fresh.id))
                              .bind(fresh.created_unix_seconds)
                              .run(kDoing));
    return Statement(database_,
                     "DELETE FROM keyed_request WHERE number <= (SELECT max(number) FROM keyed_request) - ?1")
        .bind(kKeyedRequestsMax)
        .run(kDoing);
  };
  const Status done = in_transaction(kDoing, keep);
  if (!done.ok()) return done.error();
  return fresh;
}

Status Store::keep_events(std::span<const Event> events) {
  if (events.empty()) return {};
  return in_transaction("keep events", [&]() -> Status {
    for (const Event& event : events) {
      std::optional<std::int64_t> epoch;
      if (event.epoch) epoch = static_cast<std::int64_t>(event.epoch->value);
      std::optional<ByteSpan> node;
      if (event.node) node = event.node->key.bytes;
      SHOAL_RETURN_IF_ERROR(
          Statement(database_, "INSERT OR REPLACE INTO event VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")
              .bind(static_cast<std::int64_t>(event.number))
              .bind(event.unix_ms)
              .bind(std::string(to_string(event.kind)))
              .bind(node)
              .bind(event.node_name)
              .bind(event.text)
              .bind(event.duration_ms)
              .bind(epoch)
              .bind(std::int64_t{event.times})
              .run("keep an event"));
    }
    const auto newest = static_cast<std::int64_t>(events.back().number);
    return Statement(database_, "DELETE FROM event WHERE number <= ?1")
        .bind(newest - static_cast<std::int64_t>(kEventsKeptMax))
        .run("forget old events");
  });
}

Result<std::vector<Event>> Store::events(std::uint64_t after, std::int64_t since_unix_ms, std::size_t limit) {
  std::vector<Event> events;
  Statement select(database_,
                   "SELECT number, unix_ms, kind, node, node_name, text, duration_ms, epoch, times FROM event "
                   "WHERE number > ?1 AND number <= ?2 AND unix_ms >= ?3 ORDER BY number");
  select.bind(static_cast<std::int64_t>(std::min<std::uint64_t>(after, kEventNumberMax)))
      .bind(kEventNumberMax)
      .bind(since_unix_ms);
  while (events.size() < limit) {
    SHOAL_ASSIGN_OR_RETURN(bool row, select.step("read the events"));
    if (!row) break;
    if (auto event = read_event(select)) events.push_back(*std::move(event));
  }
  return events;
}

Result<std::uint64_t> Store::newest_event() {
  Statement select(database_, "SELECT max(number) FROM event WHERE number > 0 AND number <= ?1");
  select.bind(kEventNumberMax);
  SHOAL_ASSIGN_OR_RETURN([[maybe_unused]] bool row, select.step("read the newest event"));
  return static_cast<std::uint64_t>(select.integer(0));  // no rows: NULL, which is 0
}

}  // namespace shoal::coordinator
