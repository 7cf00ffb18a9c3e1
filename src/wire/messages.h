// What travels between processes, as plain C++: the domain side of proto/shoal/v1/wire.proto.
//
// A message that codec.h has decoded is well-formed: sizes within the limits below, hashes 32 bytes long, enums known,
// ranges not empty, row arrays of equal length. Whether it makes sense now is for its receiver to judge.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/stage_spec.h"

namespace shoal::wire {

inline constexpr std::uint16_t kProtocolVersion = 1;

inline constexpr std::size_t kNameBytesMax = 64;
inline constexpr std::size_t kTextBytesMax = 1024;      // error messages, reasons
inline constexpr std::size_t kAddressesMax = 16;
inline constexpr std::size_t kPlanStagesMax = 1024;
inline constexpr std::size_t kPiecesMax = 16384;
inline constexpr std::size_t kSourcesMax = 64;
inline constexpr std::size_t kFreesMax = 4096;
inline constexpr std::size_t kTimesMax = 1024;
inline constexpr std::uint32_t kPieceChunkBytesMax = 1u << 20;
inline constexpr std::uint32_t kAllLogits = UINT32_MAX;

struct JoinRequest {
  Bytes secret;  // 1 .. 64 bytes
  std::string name;
};
struct JoinAccepted {
  std::string coordinator_name;
};
struct Reject {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};
struct Hello {
  std::string name;
  std::string software;
  std::uint64_t memory_bytes_max = 0;
  std::uint32_t threads = 0;
  std::uint16_t data_port = 0;
  std::vector<std::string> addresses;  // where peers on the LAN may reach data_port
  std::string kernel_family;
};
struct Welcome {
  std::uint32_t telemetry_interval_ms = 0;
  std::string coordinator_name;
};
struct DataHello {
  Epoch epoch;
};
struct FetchHello {};

struct StageTelemetry {
  StageId stage;
  std::uint32_t steps_queued = 0;
  std::uint64_t steps_done = 0;
};
struct Telemetry {
  std::uint64_t memory_available_bytes = 0;
  std::uint64_t resident_bytes = 0;
  std::vector<StageTelemetry> stages;
};
struct Ping {
  std::uint64_t sent_us = 0;
};
struct Pong {
  std::uint64_t sent_us = 0;  // of the Ping it answers
};

struct PlanStage {
  StageId stage;
  NodeId node;
  LayerRange range;
  std::string node_name;
  std::vector<std::string> addresses;
  std::uint16_t data_port = 0;
  bool is_first = false;
  bool is_last = false;
};
// Stages in pipeline order. A node finds its own stages in it, and whom it sends to: the next stage.
struct Plan {
  Epoch epoch;
  std::vector<PlanStage> stages;
};

struct ShardPiece {
  Digest sha256;
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
};
struct PieceSource {
  NodeId node;
  std::vector<std::string> addresses;
  std::uint16_t data_port = 0;
};
struct LoadStage {
  Epoch epoch;
  StageId stage;
  LayerRange range;
  bool is_first = false;
  bool is_last = false;
  std::uint64_t shard_bytes = 0;
  std::vector<ShardPiece> pieces;
  StageSettings settings;
  std::vector<PieceSource> sources;  // asked before the coordinator
};
struct StageProgress {
  StageId stage;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;
  bool loading = false;  // all bytes are there; llama.cpp reads them, the proof runs
};
struct StageReady {
  StageId stage;
  StageMemory memory;
  ExactnessReport exactness;
};
struct StageFailed {
  StageId stage;
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};
struct DropStage {
  StageId stage;
};
struct LinkReport {
  Epoch epoch;
  StageId from_stage;
  StageId to_stage;
  bool direct = false;
  std::string reason;
};
struct Relay {
  NodeId peer;
};

struct StageTime {
  StageId stage;
  std::uint32_t queue_us = 0;
  std::uint32_t compute_us = 0;
};
struct StepRow {
  SequenceId sequence;
  std::uint32_t position = 0;
  Token token = 0;
  std::uint32_t logits = 0;  // 0 none, n the best n, kAllLogits all
};
// At most kStepRowsMax rows; none when it only carries frees.
struct Step {
  Epoch epoch;
  StepId step;
  StageId to_stage;
  std::vector<StepRow> rows;
  bool has_tokens = false;
  std::vector<SequenceId> frees;
  std::vector<StageTime> times;
};
struct StepResult {
  Epoch epoch;
  StepId step;
  std::vector<std::uint32_t> candidate_counts;
  std::vector<double> log_sum_exps;
  std::vector<StageTime> times;
};
struct StepFailed {
  Epoch epoch;
  StepId step;
  StageId stage;
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

struct FetchPiece {
  Digest sha256;
  std::uint64_t offset = 0;
  std::uint32_t length_max = 0;
};
struct PieceData {
  Digest sha256;
  std::uint64_t offset = 0;
  bool found = false;
};

using Message =
    std::variant<JoinRequest, JoinAccepted, Reject, Hello, Welcome, DataHello, FetchHello, Telemetry, Ping, Pong, Plan,
                 LoadStage, StageProgress, StageReady, StageFailed, DropStage, LinkReport, Relay, Step, StepResult,
                 StepFailed, FetchPiece, PieceData>;

}  // namespace shoal::wire
