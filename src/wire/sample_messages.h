// Well-formed messages with random contents, for the tests of whatever carries messages and for fuzzing. Not in the
// product.
#pragma once

#include <limits>

#include "base/random.h"
#include "wire/frame.h"

namespace shoal::wire {

class SampleMessages {
 public:
  explicit SampleMessages(std::uint64_t seed) : random_(seed) {}

  // A message of the type with this index in Message, from empty to full by chance.
  Message message(std::size_t index) {
    Message result;
    make(index, result, std::make_index_sequence<std::variant_size_v<Message>>());
    return result;
  }
  // Raw bytes that check_raw accepts for it.
  Bytes raw(const Message& message) {
    std::size_t size = 0;
    if (const auto* step = std::get_if<Step>(&message)) {
      size = step->rows.size() * activation_unit(step->activations).bytes * below(64);
    }
    if (const auto* result = std::get_if<StepResult>(&message)) {
      for (const std::uint32_t count : result->candidate_counts) size += count * std::size_t{8};
    }
    if (const auto* piece = std::get_if<PieceData>(&message); piece && piece->found) size = below(5000);
    if (std::holds_alternative<Relay>(message) || std::holds_alternative<LinkProbe>(message)) size = below(5000);
    return bytes(size);
  }

  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }

 private:
  template <std::size_t... i>
  void make(std::size_t index, Message& to, std::index_sequence<i...>) {
    static_cast<void>(((i == index ? (fill(to.emplace<i>()), true) : false) || ...));
  }

  Bytes bytes(std::size_t size) {
    Bytes result(size);
    for (auto& byte : result) byte = static_cast<std::uint8_t>(random_());
    return result;
  }
  std::string text(std::size_t bytes_max) {
    static constexpr std::string_view kCharacters[] = {"a", "Z", "0", " ", "-", "\xc3\xa9", "\xe2\x82\xac"};
    std::string result;
    for (std::size_t left = below(bytes_max + 1); left > 0;) {
      const std::string_view next = kCharacters[below(std::size(kCharacters))];
      if (next.size() > left) break;
      result += next;
      left -= next.size();
    }
    return result;
  }
  // Every length of varint.
  std::uint64_t u64() { return random_() >> below(64); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(random_() >> (32 + below(32))); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(random_()); }
  bool coin() { return below(2) == 1; }
  std::uint64_t below_inclusive(FieldRange range) {
    return below(static_cast<std::uint64_t>(range.most - range.least) + 1);
  }
  Digest digest() { return Digest::from_bytes(bytes(32)).value(); }
  template <typename E>
  E enumerator(E last) {
    return static_cast<E>(below(static_cast<std::uint64_t>(last) + 1));
  }
  ErrorCode code() { return enumerator(ErrorCode::kInternal); }
  LayerRange range() {
    const auto first = static_cast<std::uint32_t>(below(1000));
    return {first, first + 1 + static_cast<std::uint32_t>(below(100))};
  }
  std::vector<std::string> addresses() {
    std::vector<std::string> result(below(kAddressesMax + 1));
    for (auto& address : result) address = text(kAddressBytesMax);
    return result;
  }
  template <typename T>
  void fill_list(std::vector<T>& list, std::size_t size_max) {
    list.resize(below(size_max + 1));
    for (T& item : list) fill(item);
  }

  void fill(JoinRequest& m) { m = {bytes(1 + below(kSecretBytesMax)), text(kNameBytesMax)}; }
  void fill(JoinAccepted& m) { m = {text(kNameBytesMax)}; }
  void fill(Reject& m) { m = {code(), text(kTextBytesMax)}; }
  void fill(Hello& m) {
    m = {text(kNameBytesMax), text(kNameBytesMax), u64(), u32(), u16(), addresses(), text(kTextBytesMax), limits()};
  }
  std::uint32_t temperature_limit() {
    const auto span = kTemperatureMaxCelsiusMost - kTemperatureMaxCelsiusLeast + 1;
    return coin() ? 0 : kTemperatureMaxCelsiusLeast + static_cast<std::uint32_t>(below(span));
  }
  OwnerLimits limits() {
    const auto percent = static_cast<std::uint32_t>(below(kBatteryMinPercentMost + 1));
    return {percent, temperature_limit(), temperature_limit(), coin()};
  }
  void fill(Welcome& m) { m = {1 + static_cast<std::uint32_t>(below(kTelemetryIntervalMsMax)), text(kNameBytesMax)}; }
  void fill(DataHello& m) { m = {{u64()}}; }
  void fill(FetchHello&) {}
  std::optional<std::uint32_t> maybe_u32() { return coin() ? std::optional(u32()) : std::nullopt; }
  void fill(StageTelemetry& m) { m = {{u64()}, u32(), u64(), maybe_u32(), maybe_u32()}; }
  void fill(NeighbourTelemetry& m) { m = {{digest()}, maybe_u32()}; }
  void fill(Telemetry& m) {
    m = {};
    for_each_field(m.device, [this](std::string_view, auto& value, FieldRange range) {
      using T = typename std::remove_reference_t<decltype(value)>::value_type;
      if (coin()) value = static_cast<T>(range.least + static_cast<std::int64_t>(below_inclusive(range)));
    });
    m.coordinator_rtt_us = maybe_u32();
    fill_list(m.neighbours, kNeighboursMax);
    fill_list(m.stages, 40);
  }
  void fill(Ping& m) { m = {u64()}; }
  void fill(Pong& m) { m = {u64(), u64()}; }
  void fill(PlanStage& m) {
    m = {{u64()}, {digest()}, range(), text(kNameBytesMax), addresses(), u16(), coin(), coin()};
  }
  void fill(Plan& m) {
    m = {{u64()}, {}};
    fill_list(m.stages, 40);
  }
  void fill(ShardPiece& m) { m = {digest(), below(1u << 30), below(1u << 30)}; }
  void fill(PieceSource& m) { m = {{digest()}, addresses(), u16()}; }
  void fill(LoadStage& m) {
    m = {{u64()}, {u64()}, range(), coin(), coin(), std::uint64_t{1} << 32, {}, {}, {}, coin()};
    m.settings = {u32(), u32(), u32(), enumerator(KvType::kQ8_0), enumerator(ExactMode::kOff)};
    fill_list(m.pieces, 200);
    fill_list(m.sources, kSourcesMax);
  }
  void fill(StageProgress& m) { m = {{u64()}, u64(), u64(), coin()}; }
  void fill(StageReady& m) {
    m = {{u64()}, {u64(), u64(), u64()}, {coin(), text(kTextBytesMax)}, std::nullopt};
    if (coin()) m.fetched_bytes = u64();
  }
  void fill(StageFailed& m) { m = {{u64()}, code(), text(kTextBytesMax)}; }
  void fill(DropStage& m) { m = {{u64()}}; }
  void fill(LinkReport& m) { m = {{u64()}, {u64()}, {u64()}, coin(), text(kTextBytesMax)}; }
  void fill(Relay& m) { m = {{digest()}}; }
  void fill(StageTime& m) { m = {{u64()}, u32(), u32(), u32(), u64()}; }
  void fill(StepRow& m) { m = {{u64()}, u32(), 0, coin() ? kAllLogits : u32()}; }
  void fill(SequenceId& id) { id = {u64()}; }
  void fill(Truncation& m) { m = {{u64()}, u32()}; }
  void fill(Fork& m) { m = {{u64()}, {u64()}, u32()}; }
  void fill(Step& m) {
    m = {{u64()}, {u64()}, {u64()}, {}, false, {}, {}, {}, {}, enumerator(ActivationType::kQ8_0), {u64()}};
    fill_list(m.rows, kStepRowsMax);
    m.has_tokens = !m.rows.empty() && coin();
    if (m.has_tokens) {
      for (StepRow& row : m.rows) row.token = static_cast<Token>(u32());
    }
    fill_list(m.frees, 50);
    fill_list(m.times, 20);
    fill_list(m.truncations, m.rows.size());
    fill_list(m.forks, 20);
  }
  void fill(StepResult& m) {
    m = {{u64()}, {u64()}, {}, {}, {}};
    m.candidate_counts.resize(below(kStepRowsMax + 1));
    for (auto& count : m.candidate_counts) {
      count = static_cast<std::uint32_t>(below(50));
      m.log_sum_exps.push_back((random_.unit() - 0.5) * 1e3);
    }
    fill_list(m.times, 20);
  }
  void fill(StepFailed& m) { m = {{u64()}, {u64()}, {u64()}, code(), text(kTextBytesMax)}; }
  void fill(FetchPiece& m) { m = {digest(), u64(), 1 + static_cast<std::uint32_t>(below(kPieceChunkBytesMax))}; }
  void fill(WeightType& m) { m = {u32(), u64()}; }
  void fill(ProbeKernels& m) { fill_list(m.types, kWeightTypesMax); }
  void fill(KernelsProbed& m) { m = {{coin(), random_.unit() * 5, text(kTextBytesMax)}}; }
  void fill(MeasureLink& m) { m = {u64(), {u64()}, {u64()}}; }
  void fill(LinkProbe& m) { m = {u64()}; }
  void fill(LinkProbed& m) { m = {u64()}; }
  void fill(LinkMeasured& m) { m = {u64(), coin(), text(kTextBytesMax), u64(), 1 + u64() / 2, coin()}; }
  void fill(SetActivations& m) { m = {{u64()}, {u64()}, enumerator(ActivationType::kQ8_0)}; }
  void fill(Replay& m) {
    m = {{u64()}, {u64()}, {u64()}, {u64()}, {u64()}, u32() / 2, 1 + static_cast<std::uint32_t>(below(kStepRowsMax))};
  }
  void fill(ShardFetched& m) { m = {{u64()}}; }
  void fill(PieceData& m) { m = {digest(), u64(), coin()}; }

  SplitMix64 random_;
};

}  // namespace shoal::wire
