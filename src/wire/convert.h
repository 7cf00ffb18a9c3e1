// Domain messages to and from the generated protobuf types. Internal to wire; the only header that includes generated
// code. to_proto expects a message that check() accepts and cleans its texts. from_proto takes anything that protobuf
// parsed, refuses what has no place in the domain type (through `check`) and leaves the other promises to check().
// Pure.
#pragma once

#include "shoal/v1/wire.pb.h"
#include "wire/check.h"
#include "wire/messages.h"

namespace shoal::wire {

namespace pb = shoal::v1;

// NOLINTBEGIN(bugprone-macro-parentheses): a type takes none.
#define SHOAL_WIRE_CONVERT(Type)                 \
  void to_proto(const Type& from, pb::Type& to); \
  void from_proto(const pb::Type& from, Type& to, Check& check)
// NOLINTEND(bugprone-macro-parentheses)

SHOAL_WIRE_CONVERT(JoinRequest);
SHOAL_WIRE_CONVERT(JoinAccepted);
SHOAL_WIRE_CONVERT(Reject);
SHOAL_WIRE_CONVERT(Hello);
SHOAL_WIRE_CONVERT(Welcome);
SHOAL_WIRE_CONVERT(DataHello);
SHOAL_WIRE_CONVERT(FetchHello);
SHOAL_WIRE_CONVERT(Telemetry);
SHOAL_WIRE_CONVERT(Ping);
SHOAL_WIRE_CONVERT(Pong);
SHOAL_WIRE_CONVERT(Plan);
SHOAL_WIRE_CONVERT(LoadStage);
SHOAL_WIRE_CONVERT(StageProgress);
SHOAL_WIRE_CONVERT(StageReady);
SHOAL_WIRE_CONVERT(StageFailed);
SHOAL_WIRE_CONVERT(DropStage);
SHOAL_WIRE_CONVERT(LinkReport);
SHOAL_WIRE_CONVERT(Relay);
SHOAL_WIRE_CONVERT(Step);
SHOAL_WIRE_CONVERT(StepResult);
SHOAL_WIRE_CONVERT(StepFailed);
SHOAL_WIRE_CONVERT(FetchPiece);
SHOAL_WIRE_CONVERT(PieceData);
SHOAL_WIRE_CONVERT(ProbeKernels);
SHOAL_WIRE_CONVERT(KernelsProbed);
SHOAL_WIRE_CONVERT(MeasureLink);
SHOAL_WIRE_CONVERT(LinkProbe);
SHOAL_WIRE_CONVERT(LinkProbed);
SHOAL_WIRE_CONVERT(LinkMeasured);
SHOAL_WIRE_CONVERT(SetActivations);
SHOAL_WIRE_CONVERT(Replay);
SHOAL_WIRE_CONVERT(ShardFetched);

#undef SHOAL_WIRE_CONVERT

}  // namespace shoal::wire
