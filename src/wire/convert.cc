#include "wire/convert.h"

#include <algorithm>

#include "wire/text.h"

namespace shoal::wire {
namespace {

// --- single fields ---

std::uint16_t port_from(std::uint32_t port, std::string_view field, Check& check) {
  check.at_most(field, port, UINT16_MAX);
  return static_cast<std::uint16_t>(port);
}

void set_digest(const Digest& from, std::string* to) {
  to->assign(reinterpret_cast<const char*>(from.bytes.data()), from.bytes.size());
}

Digest digest_from(const std::string& bytes, std::string_view field, Check& check) {
  Digest digest;
  if (bytes.size() != digest.bytes.size()) {
    check.fail(field, "a SHA-256 has 32 bytes, this one " + std::to_string(bytes.size()));
  } else {
    std::copy(bytes.begin(), bytes.end(), digest.bytes.begin());
  }
  return digest;
}

// ErrorCode's numbers are the wire's: new codes go to its end.
ErrorCode error_code_from(std::uint32_t code) {
  return code <= static_cast<std::uint32_t>(ErrorCode::kInternal) ? static_cast<ErrorCode>(code) : ErrorCode::kInternal;
}

template <typename Enum, std::size_t size>
Enum enum_from(std::uint32_t value, const std::array<std::string_view, size>&, std::string_view field, Check& check) {
  check.at_most(field, value, size - 1);
  return static_cast<Enum>(value < size ? value : 0);
}

std::string name_to(const std::string& text) {
  return clean_text(text, kNameBytesMax);
}
std::string text_to(const std::string& text) {
  return clean_text(text, kTextBytesMax);
}

template <typename Repeated>
void addresses_to(const std::vector<std::string>& from, Repeated* to) {
  for (const std::string& address : from) *to->Add() = clean_text(address, kAddressBytesMax);
}
template <typename Repeated>
std::vector<std::string> addresses_from(const Repeated& from) {
  return {from.begin(), from.end()};
}

// --- parts of messages ---

// A field that may be absent has the same name on both sides.
// NOLINTBEGIN(bugprone-macro-parentheses): names take none.
#define SHOAL_OPTIONAL_TO(from, to, name) \
  if ((from).name) (to).set_##name(*(from).name)
#define SHOAL_OPTIONAL_FROM(from, to, name) \
  if ((from).has_##name()) (to).name = (from).name()
// NOLINTEND(bugprone-macro-parentheses)

void to_proto(const NeighbourTelemetry& from, pb::NeighbourTelemetry& to) {
  set_digest(from.node.key, to.mutable_node());
  SHOAL_OPTIONAL_TO(from, to, rtt_us);
}
void from_proto(const pb::NeighbourTelemetry& from, NeighbourTelemetry& to, Check& check) {
  to.node.key = digest_from(from.node(), "neighbours.node", check);
  SHOAL_OPTIONAL_FROM(from, to, rtt_us);
}

void to_proto(const StageTelemetry& from, pb::StageTelemetry& to) {
  to.set_stage(from.stage.value);
  to.set_steps_queued(from.steps_queued);
  to.set_steps_done(from.steps_done);
  SHOAL_OPTIONAL_TO(from, to, step_us);
  SHOAL_OPTIONAL_TO(from, to, row_us);
}
void from_proto(const pb::StageTelemetry& from, StageTelemetry& to, Check&) {
  to.stage.value = from.stage();
  to.steps_queued = from.steps_queued();
  to.steps_done = from.steps_done();
  SHOAL_OPTIONAL_FROM(from, to, step_us);
  SHOAL_OPTIONAL_FROM(from, to, row_us);
}

void to_proto(const PlanStage& from, pb::PlanStage& to) {
  to.set_stage(from.stage.value);
  set_digest(from.node.key, to.mutable_node());
  to.set_first_layer(from.range.first);
  to.set_last_layer(from.range.last);
  to.set_node_name(name_to(from.node_name));
  addresses_to(from.addresses, to.mutable_addresses());
  to.set_data_port(from.data_port);
  to.set_is_first(from.is_first);
  to.set_is_last(from.is_last);
}
void from_proto(const pb::PlanStage& from, PlanStage& to, Check& check) {
  to.stage.value = from.stage();
  to.node.key = digest_from(from.node(), "stages.node", check);
  to.range = {from.first_layer(), from.last_layer()};
  to.node_name = from.node_name();
  to.addresses = addresses_from(from.addresses());
  to.data_port = port_from(from.data_port(), "stages.data_port", check);
  to.is_first = from.is_first();
  to.is_last = from.is_last();
}

void to_proto(const ShardPiece& from, pb::ShardPiece& to) {
  set_digest(from.sha256, to.mutable_sha256());
  to.set_offset(from.offset);
  to.set_size_bytes(from.size_bytes);
}
void from_proto(const pb::ShardPiece& from, ShardPiece& to, Check& check) {
  to = {digest_from(from.sha256(), "pieces.sha256", check), from.offset(), from.size_bytes()};
}

void to_proto(const StageSettings& from, pb::StageSettings& to) {
  to.set_context_tokens_max(from.context_tokens_max);
  to.set_sequences_max(from.sequences_max);
  to.set_kv_tokens_total(from.kv_tokens_total);
  to.set_kv_type(static_cast<std::uint32_t>(from.kv_type));
  to.set_exact(static_cast<std::uint32_t>(from.exact));
}
void from_proto(const pb::StageSettings& from, StageSettings& to, Check& check) {
  to.context_tokens_max = from.context_tokens_max();
  to.sequences_max = from.sequences_max();
  to.kv_tokens_total = from.kv_tokens_total();
  to.kv_type = enum_from<KvType>(from.kv_type(), kKvTypeNames, "settings.kv_type", check);
  to.exact = enum_from<ExactMode>(from.exact(), kExactModeNames, "settings.exact", check);
}

void to_proto(const PieceSource& from, pb::PieceSource& to) {
  set_digest(from.node.key, to.mutable_node());
  addresses_to(from.addresses, to.mutable_addresses());
  to.set_data_port(from.data_port);
}
void from_proto(const pb::PieceSource& from, PieceSource& to, Check& check) {
  to.node.key = digest_from(from.node(), "sources.node", check);
  to.addresses = addresses_from(from.addresses());
  to.data_port = port_from(from.data_port(), "sources.data_port", check);
}

void to_proto(const StageTime& from, pb::StageTime& to) {
  to.set_stage(from.stage.value);
  to.set_queue_us(from.queue_us);
  to.set_compute_us(from.compute_us);
  to.set_send_us(from.send_us);
  to.set_queued_at_us(from.queued_at_us);
}
void from_proto(const pb::StageTime& from, StageTime& to, Check&) {
  to = {{from.stage()}, from.queue_us(), from.compute_us(), from.send_us(), from.queued_at_us()};
}

void to_proto(const Truncation& from, pb::Truncation& to) {
  to.set_sequence(from.sequence.value);
  to.set_length(from.length);
}
void from_proto(const pb::Truncation& from, Truncation& to, Check&) {
  to = {{from.sequence()}, from.length()};
}

void to_proto(const Fork& from, pb::Fork& to) {
  to.set_from(from.from.value);
  to.set_sequence(from.sequence.value);
  to.set_length(from.length);
}
void from_proto(const pb::Fork& from, Fork& to, Check&) {
  to = {{from.from()}, {from.sequence()}, from.length()};
}

void to_proto(const WeightType& from, pb::WeightType& to) {
  to.set_type(from.type);
  to.set_bytes(from.bytes);
}
void from_proto(const pb::WeightType& from, WeightType& to, Check&) {
  to = {from.type(), from.bytes()};
}

// --- lists of parts; a list that is too long is refused before it is copied ---

template <typename From, typename Repeated>
void list_to(const std::vector<From>& from, Repeated* to) {
  to->Reserve(static_cast<int>(from.size()));
  for (const From& item : from) to_proto(item, *to->Add());
}
template <typename Repeated, typename To>
void list_from(const Repeated& from, std::vector<To>& to, std::string_view field, std::size_t size_max, Check& check) {
  check.at_most(field, static_cast<std::uint64_t>(from.size()), size_max);
  if (!check.ok()) return;
  to.resize(static_cast<std::size_t>(from.size()));
  for (std::size_t i = 0; i < to.size(); ++i) from_proto(from.Get(static_cast<int>(i)), to[i], check);
}

}  // namespace

// --- opening a link ---

void to_proto(const JoinRequest& from, pb::JoinRequest& to) {
  to.set_secret(from.secret.data(), from.secret.size());
  to.set_name(name_to(from.name));
}
void from_proto(const pb::JoinRequest& from, JoinRequest& to, Check&) {
  to.secret.assign(from.secret().begin(), from.secret().end());
  to.name = from.name();
}

void to_proto(const JoinAccepted& from, pb::JoinAccepted& to) {
  to.set_coordinator_name(name_to(from.coordinator_name));
}
void from_proto(const pb::JoinAccepted& from, JoinAccepted& to, Check&) {
  to.coordinator_name = from.coordinator_name();
}

void to_proto(const Reject& from, pb::Reject& to) {
  to.set_code(static_cast<std::uint32_t>(from.code));
  to.set_message(text_to(from.message));
}
void from_proto(const pb::Reject& from, Reject& to, Check&) {
  to.code = error_code_from(from.code());
  to.message = from.message();
}

void to_proto(const Hello& from, pb::Hello& to) {
  to.set_name(name_to(from.name));
  to.set_software(name_to(from.software));
  to.set_memory_bytes_max(from.memory_bytes_max);
  to.set_threads(from.threads);
  to.set_data_port(from.data_port);
  addresses_to(from.addresses, to.mutable_addresses());
  to.set_kernel_family(text_to(from.kernel_family));
  to.set_battery_min_percent(from.limits.battery_min_percent);
  to.set_temperature_max_celsius(from.limits.temperature_max_celsius);
  to.set_cpu_temperature_max_celsius(from.limits.cpu_temperature_max_celsius);
  to.set_only_while_charging(from.limits.only_while_charging);
}
void from_proto(const pb::Hello& from, Hello& to, Check& check) {
  to.name = from.name();
  to.software = from.software();
  to.memory_bytes_max = from.memory_bytes_max();
  to.threads = from.threads();
  to.data_port = port_from(from.data_port(), "data_port", check);
  to.addresses = addresses_from(from.addresses());
  to.kernel_family = from.kernel_family();
  to.limits = {from.battery_min_percent(), from.temperature_max_celsius(), from.cpu_temperature_max_celsius(),
               from.only_while_charging()};
}

void to_proto(const Welcome& from, pb::Welcome& to) {
  to.set_telemetry_interval_ms(from.telemetry_interval_ms);
  to.set_coordinator_name(name_to(from.coordinator_name));
}
void from_proto(const pb::Welcome& from, Welcome& to, Check&) {
  to.telemetry_interval_ms = from.telemetry_interval_ms();
  to.coordinator_name = from.coordinator_name();
}

void to_proto(const DataHello& from, pb::DataHello& to) {
  to.set_epoch(from.epoch.value);
}
void from_proto(const pb::DataHello& from, DataHello& to, Check&) {
  to.epoch.value = from.epoch();
}

void to_proto(const FetchHello&, pb::FetchHello&) {}
void from_proto(const pb::FetchHello&, FetchHello&, Check&) {}

// --- control ---

// The device's fields that travel as what they are.
#define SHOAL_DEVICE_FIELDS(SHOAL_FIELD, from, to) \
  SHOAL_FIELD(from, to, cpu_own_permille);         \
  SHOAL_FIELD(from, to, cpu_others_permille);      \
  SHOAL_FIELD(from, to, memory_total_bytes);       \
  SHOAL_FIELD(from, to, memory_available_bytes);   \
  SHOAL_FIELD(from, to, resident_bytes);           \
  SHOAL_FIELD(from, to, memory_some_permille);     \
  SHOAL_FIELD(from, to, memory_full_permille);     \
  SHOAL_FIELD(from, to, battery_percent);          \
  SHOAL_FIELD(from, to, battery_current_ma);       \
  SHOAL_FIELD(from, to, battery_power_mw);         \
  SHOAL_FIELD(from, to, battery_millicelsius);     \
  SHOAL_FIELD(from, to, cpu_millicelsius);         \
  SHOAL_FIELD(from, to, skin_millicelsius);        \
  SHOAL_FIELD(from, to, throttled);                \
  SHOAL_FIELD(from, to, cpu_limit_permille)

void to_proto(const Telemetry& from, pb::Telemetry& to) {
  const DeviceTelemetry& device = from.device;
  SHOAL_DEVICE_FIELDS(SHOAL_OPTIONAL_TO, device, to);
  if (device.battery_state) to.set_battery_state(static_cast<std::uint32_t>(*device.battery_state));
  SHOAL_OPTIONAL_TO(from, to, coordinator_rtt_us);
  list_to(from.neighbours, to.mutable_neighbours());
  list_to(from.stages, to.mutable_stages());
}
void from_proto(const pb::Telemetry& from, Telemetry& to, Check& check) {
  DeviceTelemetry& device = to.device;
  SHOAL_DEVICE_FIELDS(SHOAL_OPTIONAL_FROM, from, device);
  if (from.has_battery_state()) {
    device.battery_state = enum_from<BatteryState>(from.battery_state(), kBatteryStateNames, "battery_state", check);
  }
  SHOAL_OPTIONAL_FROM(from, to, coordinator_rtt_us);
  list_from(from.neighbours(), to.neighbours, "neighbours", kNeighboursMax, check);
  list_from(from.stages(), to.stages, "stages", kPlanStagesMax, check);
}

#undef SHOAL_DEVICE_FIELDS
#undef SHOAL_OPTIONAL_TO
#undef SHOAL_OPTIONAL_FROM

void to_proto(const Ping& from, pb::Ping& to) {
  to.set_sent_us(from.sent_us);
}
void from_proto(const pb::Ping& from, Ping& to, Check&) {
  to.sent_us = from.sent_us();
}
void to_proto(const Pong& from, pb::Pong& to) {
  to.set_sent_us(from.sent_us);
  to.set_clock_us(from.clock_us);
}
void from_proto(const pb::Pong& from, Pong& to, Check&) {
  to = {from.sent_us(), from.clock_us()};
}

void to_proto(const Plan& from, pb::Plan& to) {
  to.set_epoch(from.epoch.value);
  list_to(from.stages, to.mutable_stages());
}
void from_proto(const pb::Plan& from, Plan& to, Check& check) {
  to.epoch.value = from.epoch();
  list_from(from.stages(), to.stages, "stages", kPlanStagesMax, check);
}

void to_proto(const LoadStage& from, pb::LoadStage& to) {
  to.set_epoch(from.epoch.value);
  to.set_stage(from.stage.value);
  to.set_first_layer(from.range.first);
  to.set_last_layer(from.range.last);
  to.set_is_first(from.is_first);
  to.set_is_last(from.is_last);
  to.set_shard_bytes(from.shard_bytes);
  list_to(from.pieces, to.mutable_pieces());
  to_proto(from.settings, *to.mutable_settings());
  list_to(from.sources, to.mutable_sources());
  to.set_fetch_only(from.fetch_only);
}
void from_proto(const pb::LoadStage& from, LoadStage& to, Check& check) {
  to.epoch.value = from.epoch();
  to.stage.value = from.stage();
  to.range = {from.first_layer(), from.last_layer()};
  to.is_first = from.is_first();
  to.is_last = from.is_last();
  to.shard_bytes = from.shard_bytes();
  list_from(from.pieces(), to.pieces, "pieces", kPiecesMax, check);
  check.that(from.has_settings(), "settings", "missing");
  from_proto(from.settings(), to.settings, check);
  list_from(from.sources(), to.sources, "sources", kSourcesMax, check);
  to.fetch_only = from.fetch_only();
}

void to_proto(const ShardFetched& from, pb::ShardFetched& to) {
  to.set_stage(from.stage.value);
}
void from_proto(const pb::ShardFetched& from, ShardFetched& to, Check&) {
  to.stage.value = from.stage();
}

void to_proto(const StageProgress& from, pb::StageProgress& to) {
  to.set_stage(from.stage.value);
  to.set_bytes_done(from.bytes_done);
  to.set_bytes_total(from.bytes_total);
  to.set_loading(from.loading);
}
void from_proto(const pb::StageProgress& from, StageProgress& to, Check&) {
  to = {{from.stage()}, from.bytes_done(), from.bytes_total(), from.loading()};
}

void to_proto(const StageReady& from, pb::StageReady& to) {
  to.set_stage(from.stage.value);
  to.set_weights_bytes(from.memory.weights_bytes);
  to.set_kv_bytes(from.memory.kv_bytes);
  to.set_compute_bytes(from.memory.compute_bytes);
  to.set_exact(from.exactness.exact);
  to.set_exact_reason(text_to(from.exactness.reason));
  if (from.fetched_bytes) to.set_fetched_bytes(*from.fetched_bytes);
}
void from_proto(const pb::StageReady& from, StageReady& to, Check&) {
  to.stage.value = from.stage();
  to.memory = {from.weights_bytes(), from.kv_bytes(), from.compute_bytes()};
  to.exactness = {from.exact(), from.exact_reason()};
  if (from.has_fetched_bytes()) to.fetched_bytes = from.fetched_bytes();
}

void to_proto(const StageFailed& from, pb::StageFailed& to) {
  to.set_stage(from.stage.value);
  to.set_code(static_cast<std::uint32_t>(from.code));
  to.set_message(text_to(from.message));
}
void from_proto(const pb::StageFailed& from, StageFailed& to, Check&) {
  to = {{from.stage()}, error_code_from(from.code()), from.message()};
}

void to_proto(const DropStage& from, pb::DropStage& to) {
  to.set_stage(from.stage.value);
}
void from_proto(const pb::DropStage& from, DropStage& to, Check&) {
  to.stage.value = from.stage();
}

void to_proto(const ProbeKernels& from, pb::ProbeKernels& to) {
  list_to(from.types, to.mutable_types());
}
void from_proto(const pb::ProbeKernels& from, ProbeKernels& to, Check& check) {
  list_from(from.types(), to.types, "types", kWeightTypesMax, check);
}

void to_proto(const KernelsProbed& from, pb::KernelsProbed& to) {
  to.set_measured(from.cost.measured);
  to.set_cost(from.cost.cost);
  to.set_left_out(text_to(from.cost.left_out));
}
void from_proto(const pb::KernelsProbed& from, KernelsProbed& to, Check&) {
  to.cost = {from.measured(), from.cost(), from.left_out()};
}

void to_proto(const LinkReport& from, pb::LinkReport& to) {
  to.set_epoch(from.epoch.value);
  to.set_from_stage(from.from_stage.value);
  to.set_to_stage(from.to_stage.value);
  to.set_direct(from.direct);
  to.set_reason(text_to(from.reason));
}
void from_proto(const pb::LinkReport& from, LinkReport& to, Check&) {
  to = {{from.epoch()}, {from.from_stage()}, {from.to_stage()}, from.direct(), from.reason()};
}

void to_proto(const Relay& from, pb::Relay& to) {
  set_digest(from.peer.key, to.mutable_peer());
}
void from_proto(const pb::Relay& from, Relay& to, Check& check) {
  to.peer.key = digest_from(from.peer(), "peer", check);
}

void to_proto(const MeasureLink& from, pb::MeasureLink& to) {
  to.set_measure(from.measure);
  to.set_epoch(from.epoch.value);
  to.set_from_stage(from.from_stage.value);
}
void from_proto(const pb::MeasureLink& from, MeasureLink& to, Check&) {
  to = {from.measure(), {from.epoch()}, {from.from_stage()}};
}

void to_proto(const LinkProbe& from, pb::LinkProbe& to) {
  to.set_probe(from.probe);
}
void from_proto(const pb::LinkProbe& from, LinkProbe& to, Check&) {
  to.probe = from.probe();
}

void to_proto(const LinkProbed& from, pb::LinkProbed& to) {
  to.set_probe(from.probe);
}
void from_proto(const pb::LinkProbed& from, LinkProbed& to, Check&) {
  to.probe = from.probe();
}

void to_proto(const LinkMeasured& from, pb::LinkMeasured& to) {
  to.set_measure(from.measure);
  to.set_measured(from.measured);
  to.set_reason(text_to(from.reason));
  to.set_rtt_us(from.rtt_us);
  to.set_bytes_per_s(from.bytes_per_s);
  to.set_direct(from.direct);
}
void from_proto(const pb::LinkMeasured& from, LinkMeasured& to, Check&) {
  to = {from.measure(), from.measured(), from.reason(), from.rtt_us(), from.bytes_per_s(), from.direct()};
}

void to_proto(const SetActivations& from, pb::SetActivations& to) {
  to.set_epoch(from.epoch.value);
  to.set_from_stage(from.from_stage.value);
  to.set_type(static_cast<std::uint32_t>(from.type));
}
void from_proto(const pb::SetActivations& from, SetActivations& to, Check& check) {
  to = {{from.epoch()}, {from.from_stage()}, {}};
  to.type = enum_from<ActivationType>(from.type(), kActivationTypeNames, "type", check);
}

// --- steps ---

void to_proto(const Step& from, pb::Step& to) {
  to.set_epoch(from.epoch.value);
  to.set_step(from.step.value);
  to.set_to_stage(from.to_stage.value);
  for (const StepRow& row : from.rows) {
    to.add_sequences(row.sequence.value);
    to.add_positions(row.position);
    if (from.has_tokens) to.add_tokens(row.token);
    to.add_logits(row.logits);
  }
  for (const SequenceId sequence : from.frees) to.add_frees(sequence.value);
  list_to(from.times, to.mutable_times());
  list_to(from.truncations, to.mutable_truncations());
  list_to(from.forks, to.mutable_forks());
  to.set_activations(static_cast<std::uint32_t>(from.activations));
  to.set_ends_at(from.ends_at.value);
}
void from_proto(const pb::Step& from, Step& to, Check& check) {
  to.epoch.value = from.epoch();
  to.step.value = from.step();
  to.to_stage.value = from.to_stage();
  to.has_tokens = from.tokens_size() > 0;
  const int rows = from.sequences_size();
  check.at_most("rows", static_cast<std::uint64_t>(rows), kStepRowsMax);
  check.that(from.positions_size() == rows, "positions", "not one a row");
  check.that(from.logits_size() == rows, "logits", "not one a row");
  check.that(!to.has_tokens || from.tokens_size() == rows, "tokens", "not one a row");
  check.at_most("frees", static_cast<std::uint64_t>(from.frees_size()), kFreesMax);
  if (!check.ok()) return;
  to.rows.resize(static_cast<std::size_t>(rows));
  for (int i = 0; i < rows; ++i) {
    to.rows[static_cast<std::size_t>(i)] = {
        {from.sequences(i)}, from.positions(i), to.has_tokens ? from.tokens(i) : 0, from.logits(i)};
  }
  to.frees.reserve(static_cast<std::size_t>(from.frees_size()));
  for (const std::uint64_t sequence : from.frees()) to.frees.push_back({sequence});
  list_from(from.times(), to.times, "times", kTimesMax, check);
  list_from(from.truncations(), to.truncations, "truncations", kStepRowsMax, check);
  list_from(from.forks(), to.forks, "forks", kForksMax, check);
  to.activations = enum_from<ActivationType>(from.activations(), kActivationTypeNames, "activations", check);
  to.ends_at.value = from.ends_at();
}

void to_proto(const Replay& from, pb::Replay& to) {
  to.set_epoch(from.epoch.value);
  to.set_step(from.step.value);
  to.set_stage(from.stage.value);
  to.set_ends_at(from.ends_at.value);
  to.set_sequence(from.sequence.value);
  to.set_first(from.first);
  to.set_count(from.count);
}
void from_proto(const pb::Replay& from, Replay& to, Check&) {
  to = {{from.epoch()}, {from.step()}, {from.stage()}, {from.ends_at()}, {from.sequence()}, from.first(), from.count()};
}

void to_proto(const StepResult& from, pb::StepResult& to) {
  to.set_epoch(from.epoch.value);
  to.set_step(from.step.value);
  to.mutable_candidate_counts()->Add(from.candidate_counts.begin(), from.candidate_counts.end());
  to.mutable_log_sum_exps()->Add(from.log_sum_exps.begin(), from.log_sum_exps.end());
  list_to(from.times, to.mutable_times());
}
void from_proto(const pb::StepResult& from, StepResult& to, Check& check) {
  to.epoch.value = from.epoch();
  to.step.value = from.step();
  check.at_most("candidate_counts", static_cast<std::uint64_t>(from.candidate_counts_size()), kStepRowsMax);
  check.at_most("log_sum_exps", static_cast<std::uint64_t>(from.log_sum_exps_size()), kStepRowsMax);
  if (!check.ok()) return;
  to.candidate_counts.assign(from.candidate_counts().begin(), from.candidate_counts().end());
  to.log_sum_exps.assign(from.log_sum_exps().begin(), from.log_sum_exps().end());
  list_from(from.times(), to.times, "times", kTimesMax, check);
}

void to_proto(const StepFailed& from, pb::StepFailed& to) {
  to.set_epoch(from.epoch.value);
  to.set_step(from.step.value);
  to.set_stage(from.stage.value);
  to.set_code(static_cast<std::uint32_t>(from.code));
  to.set_message(text_to(from.message));
}
void from_proto(const pb::StepFailed& from, StepFailed& to, Check&) {
  to = {{from.epoch()}, {from.step()}, {from.stage()}, error_code_from(from.code()), from.message()};
}

// --- pieces of shards ---

void to_proto(const FetchPiece& from, pb::FetchPiece& to) {
  set_digest(from.sha256, to.mutable_sha256());
  to.set_offset(from.offset);
  to.set_length_max(from.length_max);
}
void from_proto(const pb::FetchPiece& from, FetchPiece& to, Check& check) {
  to = {digest_from(from.sha256(), "sha256", check), from.offset(), from.length_max()};
}

void to_proto(const PieceData& from, pb::PieceData& to) {
  set_digest(from.sha256, to.mutable_sha256());
  to.set_offset(from.offset);
  to.set_found(from.found);
}
void from_proto(const pb::PieceData& from, PieceData& to, Check& check) {
  to = {digest_from(from.sha256(), "sha256", check), from.offset(), from.found()};
}

}  // namespace shoal::wire
