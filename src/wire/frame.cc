#include "wire/frame.h"

#include <google/protobuf/arena.h>
#include <google/protobuf/stubs/logging.h>

#include <numeric>

#include <fmt/format.h>

#include "wire/convert.h"

namespace shoal::wire {
namespace {

constexpr std::uint32_t kMagic = 0x4c4f4853;  // "SHOL", little-endian

// What the codec knows about one message type.
struct Kind {
  std::size_t index;  // in Message
  std::string_view name;
  std::uint32_t message_bytes_max;
  std::uint32_t raw_bytes_max;
  void (*encode)(const Message& from, std::size_t raw_bytes, Bytes& to);
  Result<Message> (*decode)(ByteSpan from);
};

template <typename T, typename... Ts>
consteval std::size_t index_in(const std::variant<Ts...>*) {
  std::size_t index = 0;
  static_cast<void>(((std::is_same_v<T, Ts> ? true : (++index, false)) || ...));
  return index;
}
template <typename T>
inline constexpr std::size_t kIndex = index_in<T>(static_cast<const Message*>(nullptr));

const Kind& kind_of(std::size_t index);

// Small messages are parsed without a heap allocation.
struct SmallArena {
  alignas(8) char block[2048];
  google::protobuf::Arena arena{block, sizeof block};
};

void put_header(const FrameHeader& header, std::uint8_t* to) {
  store_le(to, kMagic);
  store_le(to + 4, header.version);
  store_le(to + 6, header.type);
  store_le(to + 8, header.message_bytes);
  store_le(to + 12, header.raw_bytes);
}

template <typename T, typename Proto>
void encode(const Message& message, std::size_t raw_bytes, Bytes& to) {
  const Kind& kind = kind_of(kIndex<T>);
  const T& from = std::get<T>(message);
  Check promises(kind.name, false);
  check(from, promises);
  SHOAL_ASSERT(promises.ok());
  SmallArena small;
  auto* proto = google::protobuf::Arena::CreateMessage<Proto>(&small.arena);
  to_proto(from, *proto);
  const std::size_t size = proto->ByteSizeLong();
  SHOAL_ASSERT(size <= kind.message_bytes_max && raw_bytes <= kind.raw_bytes_max);
  to.resize(kFrameHeaderBytes + size);
  put_header({kProtocolVersion, static_cast<std::uint16_t>(kind.index + 1), static_cast<std::uint32_t>(size),
              static_cast<std::uint32_t>(raw_bytes)},
             to.data());
  proto->SerializeWithCachedSizesToArray(to.data() + kFrameHeaderBytes);
}

template <typename T, typename Proto>
Result<Message> decode(ByteSpan from) {
  const std::string_view name = kind_of(kIndex<T>).name;
  SmallArena small;
  auto* proto = google::protobuf::Arena::CreateMessage<Proto>(&small.arena);
  if (!proto->ParseFromArray(from.data(), static_cast<int>(from.size()))) {
    return Error{ErrorCode::kCorrupt, fmt::format("{}: no valid protobuf", name)};
  }
  Message message{std::in_place_type<T>};
  Check promises(name, true);
  from_proto(*proto, std::get<T>(message), promises);
  if (promises.ok()) check(std::get<T>(message), promises);
  if (!promises.ok()) return Error{ErrorCode::kCorrupt, promises.problem()};
  return message;
}

template <typename T, typename Proto>
consteval Kind kind(std::string_view name, std::uint32_t message_bytes_max, std::uint32_t raw_bytes_max = 0) {
  return {kIndex<T>, name, message_bytes_max, raw_bytes_max, &encode<T, Proto>, &decode<T, Proto>};
}

// The bounds leave room for fields of newer writers. A list of empty parts costs up to 40 times its bytes while it is
// parsed, so none is larger than its list's limit needs.
constexpr std::uint32_t kSmall = 256;
constexpr std::uint32_t kTexts = 4096;
constexpr std::uint32_t kStepBytes = 96u << 10;
constexpr std::uint32_t kListBytes = 1536u << 10;
static_assert(kListBytes <= kMessageBytesMax);

constexpr Kind kKinds[] = {
    kind<JoinRequest, pb::JoinRequest>("JoinRequest", kJoinMessageBytesMax),
    kind<JoinAccepted, pb::JoinAccepted>("JoinAccepted", kSmall),
    kind<Reject, pb::Reject>("Reject", kTexts),
    kind<Hello, pb::Hello>("Hello", kTexts),
    kind<Welcome, pb::Welcome>("Welcome", kSmall),
    kind<DataHello, pb::DataHello>("DataHello", kSmall),
    kind<FetchHello, pb::FetchHello>("FetchHello", kSmall),
    kind<Telemetry, pb::Telemetry>("Telemetry", kStepBytes),
    kind<Ping, pb::Ping>("Ping", kSmall),
    kind<Pong, pb::Pong>("Pong", kSmall),
    kind<Plan, pb::Plan>("Plan", kListBytes),
    kind<LoadStage, pb::LoadStage>("LoadStage", kListBytes),
    kind<StageProgress, pb::StageProgress>("StageProgress", kSmall),
    kind<StageReady, pb::StageReady>("StageReady", kTexts),
    kind<StageFailed, pb::StageFailed>("StageFailed", kTexts),
    kind<DropStage, pb::DropStage>("DropStage", kSmall),
    kind<LinkReport, pb::LinkReport>("LinkReport", kTexts),
    kind<Relay, pb::Relay>("Relay", kSmall, kRawBytesMax),
    kind<Step, pb::Step>("Step", kStepBytes, kStepRawBytesMax),
    kind<StepResult, pb::StepResult>("StepResult", kStepBytes, kRawBytesMax),
    kind<StepFailed, pb::StepFailed>("StepFailed", kTexts),
    kind<FetchPiece, pb::FetchPiece>("FetchPiece", kSmall),
    kind<PieceData, pb::PieceData>("PieceData", kSmall, kPieceChunkBytesMax),
    kind<ProbeKernels, pb::ProbeKernels>("ProbeKernels", kTexts),
    kind<KernelsProbed, pb::KernelsProbed>("KernelsProbed", kTexts),
    kind<MeasureLink, pb::MeasureLink>("MeasureLink", kSmall),
    kind<LinkProbe, pb::LinkProbe>("LinkProbe", kSmall, kProbeBytesMax),
    kind<LinkProbed, pb::LinkProbed>("LinkProbed", kSmall),
    kind<LinkMeasured, pb::LinkMeasured>("LinkMeasured", kTexts),
    kind<SetActivations, pb::SetActivations>("SetActivations", kSmall),
    kind<Replay, pb::Replay>("Replay", kSmall),
    kind<ShardFetched, pb::ShardFetched>("ShardFetched", kSmall),
};
static_assert(std::size(kKinds) == std::variant_size_v<Message>);
static_assert([] {
  for (std::size_t i = 0; i < std::size(kKinds); ++i) {
    if (kKinds[i].index != i) return false;
  }
  return true;
}());

const Kind& kind_of(std::size_t index) {
  return kKinds[index];
}

// protobuf writes a line to stderr for every text that is no UTF-8; a peer must not fill our log.
void silence_protobuf() {
  [[maybe_unused]] static const bool silenced = (google::protobuf::SetLogHandler(nullptr), true);
}

// The type's entry, or null for a type that this version does not know.
const Kind* find_kind(std::uint16_t type) {
  return type >= 1 && type <= std::size(kKinds) ? &kKinds[type - 1] : nullptr;
}

Error corrupt(std::string message) {
  return {ErrorCode::kCorrupt, std::move(message)};
}

}  // namespace

Result<FrameHeader> decode_header(std::span<const std::uint8_t, kFrameHeaderBytes> bytes) {
  if (load_le<std::uint32_t>(bytes.data()) != kMagic) return corrupt("not a Shoal frame: the magic is missing");
  const FrameHeader header{load_le<std::uint16_t>(bytes.data() + 4), load_le<std::uint16_t>(bytes.data() + 6),
                           load_le<std::uint32_t>(bytes.data() + 8), load_le<std::uint32_t>(bytes.data() + 12)};
  if (header.version != kProtocolVersion) {
    return Error{ErrorCode::kVersionMismatch,
                 fmt::format("the peer speaks protocol version {}, this build version {}: update the older one",
                             header.version, kProtocolVersion)};
  }
  const Kind* kind = find_kind(header.type);
  if (kind == nullptr) return corrupt(fmt::format("unknown message type {}", header.type));
  if (header.message_bytes > kind->message_bytes_max) {
    return corrupt(fmt::format("{}: a message of {} bytes, at most {}", kind->name, header.message_bytes,
                               kind->message_bytes_max));
  }
  if (header.raw_bytes > kind->raw_bytes_max) {
    return corrupt(fmt::format("{}: {} raw bytes, at most {}", kind->name, header.raw_bytes, kind->raw_bytes_max));
  }
  return header;
}

Result<Message> decode_message(std::uint16_t type, ByteSpan message) {
  silence_protobuf();
  const Kind* kind = find_kind(type);
  if (kind == nullptr) return corrupt(fmt::format("unknown message type {}", type));
  if (message.size() > kind->message_bytes_max) return corrupt(fmt::format("{}: message too long", kind->name));
  return kind->decode(message);
}

Status check_raw(const Message& message, std::size_t raw_bytes) {
  const Kind& kind = kind_of(message.index());
  const auto wrong = [&](std::string_view rule) {
    return corrupt(fmt::format("{}: {} raw bytes, {}", kind.name, raw_bytes, rule));
  };
  if (raw_bytes > kind.raw_bytes_max) return wrong(fmt::format("at most {}", kind.raw_bytes_max));
  if (const auto* step = std::get_if<Step>(&message)) {
    const std::size_t unit = step->rows.size() * activation_unit(step->activations).bytes;
    if (unit == 0 ? raw_bytes != 0 : raw_bytes % unit != 0) {
      return wrong(fmt::format("not whole rows of {}", to_string(step->activations)));
    }
  } else if (const auto* result = std::get_if<StepResult>(&message)) {
    const auto& counts = result->candidate_counts;
    const auto candidates = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
    if (raw_bytes != candidates * 8) return wrong(fmt::format("not 8 for each of {} candidates", candidates));
  } else if (const auto* piece = std::get_if<PieceData>(&message)) {
    if (!piece->found && raw_bytes != 0) return wrong("of a piece that was not found");
  }
  return {};
}

std::size_t raw_bytes_max(const Message& message) {
  return kind_of(message.index()).raw_bytes_max;
}

Bytes encode_frame(const Message& message, std::size_t raw_bytes) {
  SHOAL_ASSERT(check_raw(message, raw_bytes).ok());
  Bytes frame;
  kind_of(message.index()).encode(message, raw_bytes, frame);
  return frame;
}

Result<Frame> decode_frame(ByteSpan bytes) {
  if (bytes.size() < kFrameHeaderBytes) return corrupt("a frame without a whole header");
  SHOAL_ASSIGN_OR_RETURN(const FrameHeader header, decode_header(bytes.first<kFrameHeaderBytes>()));
  const ByteSpan body = bytes.subspan(kFrameHeaderBytes);
  if (body.size() != std::uint64_t{header.message_bytes} + header.raw_bytes) {
    return corrupt(fmt::format("a frame of {} bytes that says it has {}", bytes.size(),
                               kFrameHeaderBytes + std::uint64_t{header.message_bytes} + header.raw_bytes));
  }
  SHOAL_ASSIGN_OR_RETURN(Message message, decode_message(header.type, body.first(header.message_bytes)));
  SHOAL_RETURN_IF_ERROR(check_raw(message, header.raw_bytes));
  const ByteSpan raw = body.subspan(header.message_bytes);
  return Frame{std::move(message), Bytes(raw.begin(), raw.end())};
}

std::string_view type_name(const Message& message) {
  return kind_of(message.index()).name;
}

}  // namespace shoal::wire
