// What travels between processes, as plain C++: the domain side of proto/shoal/v1/wire.proto.
//
// A message that frame.h has decoded is well-formed: sizes within the limits below, hashes 32 bytes long, enums known,
// layer ranges not empty, row arrays of equal length, pieces inside their shard, logits finite, what a device tells in
// the ranges of base/telemetry.h, texts UTF-8 without control characters (they end in logs and on terminals). Whether
// it makes sense now is for its receiver to judge. An ErrorCode of a newer peer that we do not know becomes kInternal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/activations.h"
#include "base/ids.h"
#include "base/owner_limits.h"
#include "base/stage_spec.h"
#include "base/telemetry.h"

namespace shoal::wire {

inline constexpr std::uint16_t kProtocolVersion = 5;

inline constexpr std::size_t kNameBytesMax = 64;
inline constexpr std::size_t kTextBytesMax = 1024;  // error messages, reasons
inline constexpr std::size_t kSecretBytesMax = 64;
inline constexpr std::size_t kAddressesMax = 16;
inline constexpr std::size_t kAddressBytesMax = 64;  // a host without a port: "192.168.1.7", "fe80::1%wlan0"
inline constexpr std::size_t kPlanStagesMax = 1024;
inline constexpr std::size_t kPiecesMax = 16384;
inline constexpr std::size_t kSourcesMax = 64;
inline constexpr std::size_t kFreesMax = 4096;
inline constexpr std::size_t kForksMax = 64;
inline constexpr std::size_t kTimesMax = 1024;
inline constexpr std::size_t kWeightTypesMax = 64;
inline constexpr std::uint32_t kPieceChunkBytesMax = 1u << 20;
inline constexpr std::uint32_t kProbeBytesMax = 64u << 10;  // raw bytes of a LinkProbe
inline constexpr std::uint32_t kTelemetryIntervalMsMax = 60'000;
inline constexpr std::uint32_t kCandidatesMax = 1u << 21;  // for one row; beyond every vocabulary
inline constexpr std::uint32_t kAllLogits = UINT32_MAX;

struct JoinRequest {
  Bytes secret;  // 1 .. kSecretBytesMax bytes
  std::string name;
  bool operator==(const JoinRequest&) const = default;
};
struct JoinAccepted {
  std::string coordinator_name;
  bool operator==(const JoinAccepted&) const = default;
};
struct Reject {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  bool operator==(const Reject&) const = default;
};
struct Hello {
  std::string name;
  std::string software;
  std::uint64_t memory_bytes_max = 0;
  std::uint32_t threads = 0;
  std::uint16_t data_port = 0;
  std::vector<std::string> addresses;  // where peers on the LAN may reach data_port
  std::string kernel_family;
  OwnerLimits limits;  // in the ranges of base/owner_limits.h
  bool operator==(const Hello&) const = default;
};
struct Welcome {
  std::uint32_t telemetry_interval_ms = 500;  // 1 .. kTelemetryIntervalMsMax
  std::string coordinator_name;
  bool operator==(const Welcome&) const = default;
};
struct DataHello {
  Epoch epoch;
  bool operator==(const DataHello&) const = default;
};
struct FetchHello {
  bool operator==(const FetchHello&) const = default;
};

struct Ping {
  std::uint64_t sent_us = 0;
  bool operator==(const Ping&) const = default;
};
struct Pong {
  std::uint64_t sent_us = 0;   // of the Ping it answers
  std::uint64_t clock_us = 0;  // the answering side's monotonic clock; 0: not told
  bool operator==(const Pong&) const = default;
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
  bool operator==(const PlanStage&) const = default;
};
// Stages in pipeline order. A node finds its own stages in it, and whom it sends to: the next stage.
struct Plan {
  Epoch epoch;
  std::vector<PlanStage> stages;
  bool operator==(const Plan&) const = default;
};

struct ShardPiece {
  Digest sha256;
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
  bool operator==(const ShardPiece&) const = default;
};
struct PieceSource {
  NodeId node;
  std::vector<std::string> addresses;
  std::uint16_t data_port = 0;
  bool operator==(const PieceSource&) const = default;
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
  bool fetch_only = false;           // to flash, and not into memory: answered by ShardFetched
  bool operator==(const LoadStage&) const = default;
};
struct StageProgress {
  StageId stage;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;
  bool loading = false;  // all bytes are there; llama.cpp reads them, the proof runs
  bool operator==(const StageProgress&) const = default;
};
struct StageReady {
  StageId stage;
  StageMemory memory;
  ExactnessReport exactness;
  std::optional<std::uint64_t> fetched_bytes;  // of the shard, over links: what was not on flash and in no model here
  bool operator==(const StageReady&) const = default;
};
struct StageFailed {
  StageId stage;
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  bool operator==(const StageFailed&) const = default;
};
struct ShardFetched {
  StageId stage;
  bool operator==(const ShardFetched&) const = default;
};
struct DropStage {
  StageId stage;
  bool operator==(const DropStage&) const = default;
};
struct LinkReport {
  Epoch epoch;
  StageId from_stage;
  StageId to_stage;
  bool direct = false;
  std::string reason;
  bool operator==(const LinkReport&) const = default;
};
struct Relay {
  NodeId peer;
  bool operator==(const Relay&) const = default;
};

struct StageTime {
  StageId stage;
  std::uint32_t queue_us = 0;
  std::uint32_t compute_us = 0;
  std::uint32_t send_us = 0;       // from computed until the link had it
  std::uint64_t queued_at_us = 0;  // when the queue began, on the node's monotonic clock; 0: not told
  bool operator==(const StageTime&) const = default;
};
struct StepRow {
  SequenceId sequence;
  std::uint32_t position = 0;
  Token token = 0;
  std::uint32_t logits = 0;  // 0 none, n the best n, kAllLogits all
  bool operator==(const StepRow&) const = default;
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
  std::vector<Truncation> truncations;                // at most one a row
  std::vector<Fork> forks;                            // at most kForksMax
  ActivationType activations = ActivationType::kF32;  // of the hidden states, which follow as raw bytes
  StageId ends_at;  // none: at the last stage. Else the rows only fill the KV of the stages up to this one
  bool operator==(const Step&) const = default;
};
// From its journal a stage sends on what it once computed for rows [first, first + count) of a sequence, as a Step
// which frees the sequence before row 0. StepFailed with kNotFound: the journal has not all of them.
struct Replay {
  Epoch epoch;
  StepId step;
  StageId stage;
  StageId ends_at;
  SequenceId sequence;
  std::uint32_t first = 0;
  std::uint32_t count = 0;  // 1 .. kStepRowsMax
  bool operator==(const Replay&) const = default;
};
// One candidate count a row that asked for logits, and as many log_sum_exps, all finite (a stage whose logits are not
// answers with StepFailed); the candidates follow as raw bytes, at most raw_bytes_max() (frame.h).
struct StepResult {
  Epoch epoch;
  StepId step;
  std::vector<std::uint32_t> candidate_counts;
  std::vector<double> log_sum_exps;
  std::vector<StageTime> times;
  bool operator==(const StepResult&) const = default;
};
struct StepFailed {
  Epoch epoch;
  StepId step;
  StageId stage;
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  bool operator==(const StepFailed&) const = default;
};

struct FetchPiece {
  Digest sha256;
  std::uint64_t offset = 0;
  std::uint32_t length_max = kPieceChunkBytesMax;  // 1 .. kPieceChunkBytesMax
  bool operator==(const FetchPiece&) const = default;
};
struct PieceData {
  Digest sha256;
  std::uint64_t offset = 0;
  bool found = false;
  bool operator==(const PieceData&) const = default;
};

struct ProbeKernels {
  std::vector<WeightType> types;  // at most kWeightTypesMax
  bool operator==(const ProbeKernels&) const = default;
};
struct KernelsProbed {
  KernelCost cost;  // finite, not negative
  bool operator==(const KernelsProbed&) const = default;
};

// Asks a node to measure a link of its own (net/link_meter.h).
struct MeasureLink {
  std::uint64_t measure = 0;
  Epoch epoch;
  StageId from_stage;  // the data link from this stage to its successor; none: the control link
  bool operator==(const MeasureLink&) const = default;
};
struct LinkProbe {
  std::uint64_t probe = 0;
  bool operator==(const LinkProbe&) const = default;
};
struct LinkProbed {
  std::uint64_t probe = 0;
  bool operator==(const LinkProbed&) const = default;
};
struct LinkMeasured {
  std::uint64_t measure = 0;
  bool measured = false;
  std::string reason;  // why not
  std::uint64_t rtt_us = 0;
  std::uint64_t bytes_per_s = 0;  // not 0 when measured
  bool direct = false;
  bool operator==(const LinkMeasured&) const = default;
};

// From here on, in this epoch, the stage sends its hidden states in this type. Until then, and in every new epoch, f32.
struct SetActivations {
  Epoch epoch;
  StageId from_stage;
  ActivationType type = ActivationType::kF32;
  bool operator==(const SetActivations&) const = default;
};

using Message = std::variant<JoinRequest, JoinAccepted, Reject, Hello, Welcome, DataHello, FetchHello, Telemetry, Ping,
                             Pong, Plan, LoadStage, StageProgress, StageReady, StageFailed, DropStage, LinkReport,
                             Relay, Step, StepResult, StepFailed, FetchPiece, PieceData, ProbeKernels, KernelsProbed,
                             MeasureLink, LinkProbe, LinkProbed, LinkMeasured, SetActivations, Replay, ShardFetched>;

}  // namespace shoal::wire
