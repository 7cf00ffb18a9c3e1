// Goal: what goes into a frame comes out of it, and nothing that breaks a promise of messages.h comes out of a decoder.
// How: random well-formed messages of every type there and back; each limit from both sides, written with the generated
// protobuf code where our encoder would refuse; mutated frames from fixed seeds.
#include "wire/frame.h"

#include <chrono>
#include <cmath>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shoal/v1/wire.pb.h"
#include "wire/sample_messages.h"

namespace shoal::wire {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kTypes = std::variant_size_v<Message>;

Bytes whole_frame(const Message& message, const Bytes& raw) {
  Bytes frame = encode_frame(message, raw.size());
  frame.insert(frame.end(), raw.begin(), raw.end());
  return frame;
}

template <typename T>
constexpr std::uint16_t type_of() {
  return static_cast<std::uint16_t>(Message(T{}).index() + 1);
}

// What the decoder says to a hand-made protobuf message of the type T.
template <typename T, typename Proto>
Status decoded(const Proto& proto) {
  const std::string bytes = proto.SerializeAsString();
  const auto result = decode_message(type_of<T>(), as_bytes(bytes));
  if (result.ok()) return {};
  EXPECT_EQ(result.error().code, ErrorCode::kCorrupt);
  return result.error();
}
#define EXPECT_REFUSED(T, proto, text) \
  EXPECT_THAT(decoded<T>(proto).ok() ? "accepted" : decoded<T>(proto).error().message, HasSubstr(text))

// Every field there, and as large as its range allows.
Telemetry full_telemetry(std::size_t neighbours, std::size_t stages) {
  Telemetry telemetry;
  for_each_field(telemetry.device, [](std::string_view, auto& value, FieldRange range) {
    value = static_cast<typename std::remove_reference_t<decltype(value)>::value_type>(range.most);
  });
  telemetry.coordinator_rtt_us = UINT32_MAX;
  telemetry.neighbours.assign(neighbours, {{Sha256::of({})}, UINT32_MAX});
  telemetry.stages.assign(stages, {{UINT64_MAX}, UINT32_MAX, UINT64_MAX, UINT32_MAX, UINT32_MAX});
  return telemetry;
}

TEST(Frame, EveryMessageComesBackUnchanged) {
  SampleMessages samples(1);
  for (std::size_t type = 0; type < kTypes; ++type) {
    for (int i = 0; i < 100; ++i) {
      const Message message = samples.message(type);
      const Bytes raw = samples.raw(message);
      const auto frame = decode_frame(whole_frame(message, raw));
      ASSERT_TRUE(frame.ok()) << type_name(message) << ": " << frame.error().message;
      EXPECT_EQ(frame->message, message) << type_name(message);
      EXPECT_EQ(frame->raw, raw);
    }
  }
}

TEST(Frame, FullMessagesFitTheirLimits) {
  const std::string name(kNameBytesMax, 'n'), text(kTextBytesMax, 't');
  const std::vector<std::string> addresses(kAddressesMax, std::string(kAddressBytesMax, 'a'));
  const Digest digest = Sha256::of({});
  constexpr std::uint64_t kBig = UINT64_MAX;
  std::vector<Message> full;
  full.push_back(JoinRequest{Bytes(kSecretBytesMax, 255), name});
  full.push_back(Hello{name, name, kBig, UINT32_MAX, 65535, addresses, text});
  full.push_back(
      Plan{{kBig},
           std::vector<PlanStage>(
               kPlanStagesMax, {{kBig}, {digest}, {UINT32_MAX - 1, UINT32_MAX}, name, addresses, 65535, true, true})});
  full.push_back(full_telemetry(kNeighboursMax, kPlanStagesMax));
  full.push_back(LoadStage{{kBig},
                           {kBig},
                           {0, UINT32_MAX},
                           true,
                           true,
                           kBig,
                           std::vector<ShardPiece>(kPiecesMax, {digest, kBig >> 1, kBig >> 1}),
                           {},
                           std::vector<PieceSource>(kSourcesMax, {{digest}, addresses, 65535})});
  full.push_back(Step{{kBig},
                      {kBig},
                      {kBig},
                      std::vector<StepRow>(kStepRowsMax, {{kBig}, UINT32_MAX, -1, kAllLogits}),
                      true,
                      std::vector<SequenceId>(kFreesMax, {kBig}),
                      std::vector<StageTime>(kTimesMax, {{kBig}, UINT32_MAX, UINT32_MAX, UINT32_MAX, kBig}),
                      std::vector<Truncation>(kStepRowsMax, {{kBig}, UINT32_MAX}),
                      std::vector<Fork>(kForksMax, {{kBig}, {kBig}, UINT32_MAX})});
  full.push_back(StepResult{{kBig},
                            {kBig},
                            std::vector<std::uint32_t>(kStepRowsMax, 1),
                            std::vector<double>(kStepRowsMax, 1e300),
                            std::vector<StageTime>(kTimesMax, {{kBig}, UINT32_MAX, UINT32_MAX, UINT32_MAX, kBig})});
  full.push_back(ProbeKernels{std::vector<WeightType>(kWeightTypesMax, {UINT32_MAX, kBig})});
  full.push_back(KernelsProbed{{true, 1e300, text}});
  full.push_back(MeasureLink{kBig, {kBig}, {kBig}});
  full.push_back(LinkMeasured{kBig, true, text, kBig, kBig, true});
  full.push_back(StepFailed{{kBig}, {kBig}, {kBig}, ErrorCode::kInternal, text});
  for (const Message& message : full) {
    const std::size_t raw_bytes = std::holds_alternative<StepResult>(message) ? kStepRowsMax * 8 : 0;
    const auto frame = decode_frame(whole_frame(message, Bytes(raw_bytes)));
    ASSERT_TRUE(frame.ok()) << frame.error().message;
    EXPECT_EQ(frame->message, message);
  }
}

TEST(Frame, TextsAreCleanedAndCutBeforeTheyTravel) {
  const auto frame =
      decode_frame(encode_frame(Reject{ErrorCode::kNotFound, "no\x1b[31m\n\xff" + std::string(2000, 'x')}, 0));
  ASSERT_TRUE(frame.ok()) << frame.error().message;
  const auto& message = std::get<Reject>(frame->message).message;
  EXPECT_EQ(message.size(), kTextBytesMax);
  EXPECT_EQ(message.substr(0, 10), "no?[31m??x");
}

TEST(Frame, AnotherVersionIsNamed) {
  Bytes frame = encode_frame(Ping{1}, 0);
  store_le<std::uint16_t>(frame.data() + 4, 7);
  const auto result = decode_frame(frame);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kVersionMismatch);
  EXPECT_THAT(result.error().message, HasSubstr("version 7"));
  EXPECT_THAT(result.error().message, HasSubstr(fmt::format("version {}", kProtocolVersion)));
}

TEST(Frame, HeadersThatLieAreRefusedBeforeAnythingIsRead) {
  const Bytes good = encode_frame(Ping{1}, 0);
  const auto refused = [&](std::size_t at, std::uint32_t value, std::string_view text) {
    Bytes frame = good;
    store_le(frame.data() + at, value);
    const auto header = decode_header(std::span<const std::uint8_t>(frame).first<kFrameHeaderBytes>());
    ASSERT_FALSE(header.ok());
    EXPECT_EQ(header.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(header.error().message, HasSubstr(text));
  };
  refused(0, 0x20544547, "magic");  // "GET "
  refused(4, kProtocolVersion | 0u << 16, "unknown message type 0");
  refused(4, kProtocolVersion | static_cast<std::uint32_t>(kTypes + 1) << 16,
          fmt::format("unknown message type {}", kTypes + 1));
  refused(8, 257, "Ping: a message of 257 bytes, at most 256");
  refused(8, UINT32_MAX, "Ping");
  refused(12, 1, "Ping: 1 raw bytes, at most 0");
  Bytes long_frame = good;
  long_frame.push_back(0);
  EXPECT_FALSE(decode_frame(long_frame).ok());
  EXPECT_FALSE(decode_frame(ByteSpan(good).first(good.size() - 1)).ok());
  EXPECT_FALSE(decode_frame(ByteSpan(good).first(5)).ok());
}

TEST(Frame, RawBytesFitTheirMessage) {
  Step step;
  EXPECT_TRUE(check_raw(step, 0).ok());
  EXPECT_FALSE(check_raw(step, 4).ok());
  step.rows.resize(3);
  EXPECT_TRUE(check_raw(step, 0).ok());
  EXPECT_TRUE(check_raw(step, 3 * 4 * 2048).ok());
  EXPECT_FALSE(check_raw(step, 3 * 4 * 2048 + 4).ok());
  EXPECT_FALSE(check_raw(step, raw_bytes_max(step) + 12).ok());
  step.activations = ActivationType::kF16;
  EXPECT_TRUE(check_raw(step, 3 * 2 * 2048).ok());
  EXPECT_FALSE(check_raw(step, 3 * 2 * 2048 + 4).ok());
  step.activations = ActivationType::kQ8_0;
  EXPECT_TRUE(check_raw(step, 3 * 34 * 64).ok());
  EXPECT_FALSE(check_raw(step, 3 * 34 * 64 + 34).ok());
  StepResult result;
  result.candidate_counts = {2, 0, 40};
  EXPECT_TRUE(check_raw(result, 42 * 8).ok());
  EXPECT_FALSE(check_raw(result, 41 * 8).ok());
  EXPECT_TRUE(check_raw(PieceData{{}, 0, true}, kPieceChunkBytesMax).ok());
  EXPECT_FALSE(check_raw(PieceData{{}, 0, true}, kPieceChunkBytesMax + 1).ok());
  EXPECT_FALSE(check_raw(PieceData{{}, 0, false}, 1).ok());
  EXPECT_TRUE(check_raw(LinkProbe{}, 0).ok());
  EXPECT_TRUE(check_raw(LinkProbe{}, kProbeBytesMax).ok());
  EXPECT_FALSE(check_raw(LinkProbe{}, kProbeBytesMax + 1).ok());
  EXPECT_FALSE(check_raw(LinkProbed{}, 1).ok());
  EXPECT_FALSE(check_raw(Ping{}, 1).ok());
}

TEST(Frame, BrokenPromisesAreRefusedByName) {
  v1::JoinRequest join;
  EXPECT_REFUSED(JoinRequest, join, "JoinRequest.secret: empty");
  join.set_secret(std::string(65, 's'));
  EXPECT_REFUSED(JoinRequest, join, "JoinRequest.secret: 65, at most 64");
  join.set_secret("s");
  join.set_name(std::string(65, 'n'));
  EXPECT_REFUSED(JoinRequest, join, "JoinRequest.name: 65 bytes, at most 64");
  join.set_name("a\nb");
  EXPECT_REFUSED(JoinRequest, join, "control characters");

  v1::Reject reject;
  reject.set_message(std::string(1025, 'x'));
  EXPECT_REFUSED(Reject, reject, "Reject.message");

  v1::Hello hello;
  hello.set_data_port(65536);
  EXPECT_REFUSED(Hello, hello, "Hello.data_port: 65536, at most 65535");
  hello.set_data_port(1);
  for (int i = 0; i < 17; ++i) hello.add_addresses(std::string("h"));
  EXPECT_REFUSED(Hello, hello, "Hello.addresses: 17, at most 16");
  hello.clear_addresses();
  hello.add_addresses(std::string(65, 'a'));
  EXPECT_REFUSED(Hello, hello, "Hello.addresses: 65 bytes");

  v1::Welcome welcome;
  EXPECT_REFUSED(Welcome, welcome, "telemetry_interval_ms: 0");
  welcome.set_telemetry_interval_ms(kTelemetryIntervalMsMax + 1);
  EXPECT_REFUSED(Welcome, welcome, "telemetry_interval_ms");

  v1::Hello limits;
  limits.set_battery_min_percent(kBatteryMinPercentMost + 1);
  EXPECT_REFUSED(Hello, limits, "Hello.battery_min_percent: 91, at most 90");
  limits.set_battery_min_percent(0);
  EXPECT_TRUE(decoded<Hello>(limits).ok()) << "0 is no limit";
  limits.set_temperature_max_celsius(kTemperatureMaxCelsiusLeast - 1);
  EXPECT_REFUSED(Hello, limits, "Hello.temperature_max_celsius: 29, not 0 or 30 to 110");
  limits.set_temperature_max_celsius(0);
  limits.set_cpu_temperature_max_celsius(UINT32_MAX);
  EXPECT_REFUSED(Hello, limits, "Hello.cpu_temperature_max_celsius");

  v1::Telemetry telemetry;
  for (std::size_t i = 0; i <= kPlanStagesMax; ++i) telemetry.add_stages();
  EXPECT_REFUSED(Telemetry, telemetry, "Telemetry.stages: 1025, at most 1024");
  telemetry.clear_stages();
  for (std::size_t i = 0; i <= kNeighboursMax; ++i) telemetry.add_neighbours()->set_node(std::string(32, 'n'));
  EXPECT_REFUSED(Telemetry, telemetry, "Telemetry.neighbours: 65, at most 64");
  telemetry.clear_neighbours();
  telemetry.add_neighbours();
  EXPECT_REFUSED(Telemetry, telemetry, "Telemetry.neighbours.node: a SHA-256 has 32 bytes, this one 0");

  v1::Relay relay;
  relay.set_peer(std::string(31, 'p'));
  EXPECT_REFUSED(Relay, relay, "Relay.peer: a SHA-256 has 32 bytes, this one 31");

  v1::FetchPiece fetch;
  fetch.set_sha256(std::string(32, 'p'));
  EXPECT_REFUSED(FetchPiece, fetch, "length_max: 0");
  fetch.set_length_max(kPieceChunkBytesMax + 1);
  EXPECT_REFUSED(FetchPiece, fetch, "length_max");

  v1::LinkMeasured measured;
  measured.set_measured(true);
  EXPECT_REFUSED(LinkMeasured, measured, "LinkMeasured.bytes_per_s: 0 of a link that was measured");
  measured.set_measured(false);
  measured.set_reason("\n");
  EXPECT_REFUSED(LinkMeasured, measured, "LinkMeasured.reason");

  v1::SetActivations activations;
  activations.set_type(3);
  EXPECT_REFUSED(SetActivations, activations, "SetActivations.type: 3, at most 2");
  v1::Step step;
  step.set_activations(3);
  EXPECT_REFUSED(Step, step, "Step.activations: 3, at most 2");
}

TEST(Frame, BrokenPlansAndLoadsAreRefusedByName) {
  v1::Plan plan;
  v1::PlanStage* stage = plan.add_stages();
  stage->set_node(std::string(32, 'n'));
  stage->set_first_layer(3);
  stage->set_last_layer(3);
  EXPECT_REFUSED(Plan, plan, "Plan.stages.range: layers 3:3 are empty");
  stage->set_last_layer(4);
  EXPECT_TRUE(decoded<Plan>(plan).ok());
  stage->set_data_port(70000);
  EXPECT_REFUSED(Plan, plan, "Plan.stages.data_port");
  stage->set_data_port(0);
  stage->set_node("short");
  EXPECT_REFUSED(Plan, plan, "Plan.stages.node");
  for (std::size_t i = 0; i < kPlanStagesMax; ++i) plan.add_stages();
  EXPECT_REFUSED(Plan, plan, "Plan.stages: 1025, at most 1024");

  v1::LoadStage load;
  load.set_last_layer(1);
  EXPECT_REFUSED(LoadStage, load, "LoadStage.settings: missing");
  load.mutable_settings()->set_kv_type(2);
  EXPECT_REFUSED(LoadStage, load, "LoadStage.settings.kv_type: 2, at most 1");
  load.mutable_settings()->set_kv_type(1);
  load.mutable_settings()->set_exact(3);
  EXPECT_REFUSED(LoadStage, load, "LoadStage.settings.exact: 3, at most 2");
  load.mutable_settings()->set_exact(0);
  EXPECT_TRUE(decoded<LoadStage>(load).ok());
  load.set_shard_bytes(10);
  v1::ShardPiece* piece = load.add_pieces();
  piece->set_sha256(std::string(32, 'p'));
  piece->set_offset(4);
  piece->set_size_bytes(7);
  EXPECT_REFUSED(LoadStage, load, "outside the shard");
  piece->set_size_bytes(UINT64_MAX);
  EXPECT_REFUSED(LoadStage, load, "outside the shard");
  piece->set_size_bytes(6);
  EXPECT_TRUE(decoded<LoadStage>(load).ok());
  piece->set_sha256("");
  EXPECT_REFUSED(LoadStage, load, "LoadStage.pieces.sha256");
  for (std::size_t i = 0; i < kPiecesMax; ++i) load.add_pieces();
  EXPECT_REFUSED(LoadStage, load, "LoadStage.pieces: 16385, at most 16384");
  load.clear_pieces();
  for (std::size_t i = 0; i <= kSourcesMax; ++i) load.add_sources();
  EXPECT_REFUSED(LoadStage, load, "LoadStage.sources: 65, at most 64");
}

TEST(Frame, BrokenStepsAreRefusedByName) {
  v1::Step step;
  step.add_sequences(1);
  EXPECT_REFUSED(Step, step, "Step.positions: not one a row");
  step.add_positions(1);
  EXPECT_REFUSED(Step, step, "Step.logits: not one a row");
  step.add_logits(0);
  EXPECT_TRUE(decoded<Step>(step).ok());
  step.add_tokens(1);
  step.add_tokens(2);
  EXPECT_REFUSED(Step, step, "Step.tokens: not one a row");
  step.Clear();
  step.add_tokens(1);
  EXPECT_REFUSED(Step, step, "Step.tokens: not one a row");
  step.Clear();
  for (std::uint32_t i = 0; i <= kStepRowsMax; ++i) {
    step.add_sequences(1);
    step.add_positions(i);
    step.add_logits(0);
  }
  EXPECT_REFUSED(Step, step, "Step.rows: 64, at most 63");
  step.Clear();
  for (std::size_t i = 0; i <= kFreesMax; ++i) step.add_frees(1);
  EXPECT_REFUSED(Step, step, "Step.frees: 4097, at most 4096");
  step.Clear();
  for (std::size_t i = 0; i <= kTimesMax; ++i) step.add_times();
  EXPECT_REFUSED(Step, step, "Step.times: 1025, at most 1024");

  v1::StepResult result;
  result.add_candidate_counts(1);
  EXPECT_REFUSED(StepResult, result, "StepResult.log_sum_exps: not one a candidate count");
  result.add_log_sum_exps(NAN);
  EXPECT_REFUSED(StepResult, result, "StepResult.log_sum_exps: not finite");
  result.set_log_sum_exps(0, INFINITY);
  EXPECT_REFUSED(StepResult, result, "StepResult.log_sum_exps: not finite");
  result.set_log_sum_exps(0, 1);
  result.set_candidate_counts(0, kCandidatesMax + 1);
  EXPECT_REFUSED(StepResult, result, "StepResult.candidate_counts");
  result.Clear();
  for (int i = 0; i < 5; ++i) {
    result.add_candidate_counts(kCandidatesMax);
    result.add_log_sum_exps(0);
  }
  EXPECT_REFUSED(StepResult, result, "StepResult.candidate_counts: 83886080, at most 67108864");
  result.Clear();
  for (std::uint32_t i = 0; i <= kStepRowsMax; ++i) result.add_candidate_counts(0);
  EXPECT_REFUSED(StepResult, result, "StepResult.candidate_counts: 64, at most 63");
}

TEST(Frame, FieldsAndErrorCodesOfNewerWritersAreTolerated) {
  v1::Ping ping;
  ping.set_sent_us(77);
  // Field 500 of type string, 501 varint: unknown to this version.
  const std::string bytes = ping.SerializeAsString() + "\xa2\x1f\x03new" + "\xa8\x1f\x05";
  const auto message = decode_message(type_of<Ping>(), as_bytes(bytes));
  ASSERT_TRUE(message.ok()) << message.error().message;
  EXPECT_EQ(std::get<Ping>(*message).sent_us, 77u);

  v1::Reject reject;
  reject.set_code(4711);
  reject.set_message("something new");
  const std::string text = reject.SerializeAsString();
  const auto decoded_reject = decode_message(type_of<Reject>(), as_bytes(text));
  ASSERT_TRUE(decoded_reject.ok());
  EXPECT_EQ(std::get<Reject>(*decoded_reject), (Reject{ErrorCode::kInternal, "something new"}));
}

// Goal: no device's value gets in that base/telemetry.h calls impossible. How: each field one beyond both its ends.
TEST(Frame, TelemetryOutOfItsRangesIsRefusedByName) {
  const auto refused = [](auto change, const std::string& text) {
    v1::Telemetry telemetry;
    change(telemetry);
    EXPECT_REFUSED(Telemetry, telemetry, text);
  };
  refused([](auto& t) { t.set_battery_percent(101); }, "Telemetry.battery_percent: 101, not 0 to 100");
  refused([](auto& t) { t.set_battery_state(4); }, "Telemetry.battery_state: 4, at most 3");
  refused([](auto& t) { t.set_cpu_own_permille(1001); }, "Telemetry.cpu_own_permille: 1001");
  refused([](auto& t) { t.set_cpu_others_permille(1001); }, "Telemetry.cpu_others_permille: 1001");
  refused([](auto& t) { t.set_memory_some_permille(UINT32_MAX); }, "Telemetry.memory_some_permille");
  refused([](auto& t) { t.set_memory_full_permille(1001); }, "Telemetry.memory_full_permille");
  refused([](auto& t) { t.set_cpu_limit_permille(1001); }, "Telemetry.cpu_limit_permille");
  refused([](auto& t) { t.set_memory_total_bytes(UINT64_MAX); }, "Telemetry.memory_total_bytes");
  refused([](auto& t) { t.set_memory_available_bytes((std::uint64_t{1} << 60) + 1); }, "memory_available_bytes");
  refused([](auto& t) { t.set_resident_bytes(std::uint64_t{1} << 63); }, "Telemetry.resident_bytes");
  refused([](auto& t) { t.set_battery_current_ma(-100'001); }, "Telemetry.battery_current_ma: -100001");
  refused([](auto& t) { t.set_battery_power_mw(1'000'001); }, "Telemetry.battery_power_mw: 1000001");
  refused([](auto& t) { t.set_battery_millicelsius(-50'001); }, "Telemetry.battery_millicelsius: -50001");
  refused([](auto& t) { t.set_cpu_millicelsius(200'001); }, "Telemetry.cpu_millicelsius: 200001");
  refused([](auto& t) { t.set_skin_millicelsius(INT32_MIN); }, "Telemetry.skin_millicelsius");
}

// Goal: what a device cannot tell arrives as unknown, and a 0 that it tells as 0.
TEST(Frame, UnknownIsNotZero) {
  Telemetry telemetry;
  telemetry.device.battery_percent = 0;
  telemetry.device.throttled = false;
  telemetry.device.battery_state = BatteryState::kDischarging;
  telemetry.stages = {{StageId{1}, 0, 0, 0, std::nullopt}};
  const auto frame = decode_frame(whole_frame(telemetry, {}));
  ASSERT_TRUE(frame.ok()) << frame.error().message;
  EXPECT_EQ(std::get<Telemetry>(frame->message), telemetry);
  EXPECT_FALSE(std::get<Telemetry>(frame->message).device.cpu_own_permille);
}

// Goal: telemetry takes less than 1 KB/s of a node's link. How: two a second of a node with two stages, each with a
// neighbour, all numbers as large as they may be; with a TLS record of its own (5 bytes of header, 1 of type, 16 of
// tag) and the headers of TCP with timestamps and IPv6 (72) each time.
TEST(Frame, TelemetryTakesLessThanAKilobyteASecond) {
  constexpr std::size_t kRecordBytes = 22, kPacketBytes = 72;
  const std::size_t frame_bytes = whole_frame(full_telemetry(2, 2), {}).size();
  RecordProperty("frame_bytes", static_cast<int>(frame_bytes));
  EXPECT_LT(2 * (frame_bytes + kRecordBytes + kPacketBytes), 1000u) << frame_bytes << " bytes a frame";
}

// Whatever is decoded can be encoded and decoded again to the same: nothing half-checked gets through.
TEST(Frame, MutatedFramesNeverCrashTheDecoder) {
  SampleMessages samples(2);
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    const Message message = samples.message(samples.below(kTypes));
    Bytes frame = whole_frame(message, samples.raw(message));
    for (std::uint64_t edits = 1 + samples.below(4); edits > 0; --edits) {
      const std::size_t from = samples.below(8) == 0 ? 0 : std::min<std::size_t>(kFrameHeaderBytes, frame.size() - 1);
      const std::size_t at = from + samples.below(frame.size() - from);
      switch (samples.below(4)) {
        case 0:
          frame[at] ^= static_cast<std::uint8_t>(1u << samples.below(8));
          break;
        case 1:
          frame[at] = static_cast<std::uint8_t>(samples.below(256));
          break;
        case 2:
          frame.resize(std::max<std::size_t>(at, 1));
          break;
        case 3:
          frame.insert(frame.begin() + static_cast<std::ptrdiff_t>(at), static_cast<std::uint8_t>(samples.below(256)));
          break;
      }
    }
    if (frame.size() >= kFrameHeaderBytes &&
        samples.below(2) == 0) {  // make the lengths right again, to get further in
      const auto raw =
          std::min<std::size_t>(load_le<std::uint32_t>(frame.data() + 12), frame.size() - kFrameHeaderBytes);
      store_le(frame.data() + 12, static_cast<std::uint32_t>(raw));
      store_le(frame.data() + 8, static_cast<std::uint32_t>(frame.size() - kFrameHeaderBytes - raw));
    }
    const auto decoded_frame = decode_frame(frame);
    if (!decoded_frame.ok()) {
      EXPECT_FALSE(decoded_frame.error().message.empty());
      continue;
    }
    ++accepted;
    const auto again = decode_frame(whole_frame(decoded_frame->message, decoded_frame->raw));
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_EQ(again->message, decoded_frame->message);
  }
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace shoal::wire
