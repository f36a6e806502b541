package dev.partita.synthetic.network;

import dev.partita.network.Frame;
import dev.partita.network.Headers;
import dev.partita.network.MacAddress;
import dev.partita.network.Offloads;
import org.jspecify.annotations.Nullable;

/// What the guest wants to receive and to know of it, as it was set last: read by all threads that
/// deliver. Immutable.
///
/// @param filter packets it wants
/// @param address its own
/// @param multicast addresses it wants
/// @param receiveChecksums checksums that are verified for it
/// @param scaling how flows are spread, or null
/// @param tags whether it is told of tags beside the frame
/// @param offloads what the switch leaves to it
record ReceiveRules(
    int filter,
    long address,
    java.util.List<Long> multicast,
    int receiveChecksums,
    @Nullable ReceiveScaling scaling,
    boolean tags,
    Offloads offloads) {
  /// Nothing.
  static final ReceiveRules NOTHING =
      new ReceiveRules(0, 0, java.util.List.of(), 0, null, false, Offloads.NONE);

  /// Whether the guest wants a frame.
  boolean wants(Frame frame) {
    if ((filter & Adapter.PROMISCUOUS) != 0) {
      return true;
    }
    long to = frame.destination();
    if (!MacAddress.isGroup(to)) {
      return (filter & Adapter.DIRECTED) != 0 && to == address;
    }
    if (to == MacAddress.BROADCAST.bits()) {
      return (filter & Adapter.BROADCAST) != 0;
    }
    return (filter & Adapter.ALL_MULTICAST) != 0
        || (filter & Adapter.MULTICAST) != 0 && multicast.contains(to);
  }

  /// What the guest is told of a frame's checksums.
  int verify(Headers headers) {
    if (!headers.isIp()) {
      return 0;
    }
    int told = 0;
    if (headers.kind() == Headers.Kind.IPV4 && (receiveChecksums & OffloadSettings.IP4) != 0) {
      told |=
          headers.headerChecksumRight()
              ? RndisLayout.RECEIVE_IP_SUCCEEDED
              : RndisLayout.RECEIVE_IP_FAILED;
    }
    if (headers.isFragment()) {
      return told;
    }
    boolean v4 = headers.kind() == Headers.Kind.IPV4;
    switch (headers.protocol()) {
      case Headers.TCP -> {
        if ((receiveChecksums & (v4 ? OffloadSettings.TCP4 : OffloadSettings.TCP6)) != 0) {
          told |=
              headers.transportChecksumRight()
                  ? RndisLayout.RECEIVE_TCP_SUCCEEDED
                  : RndisLayout.RECEIVE_TCP_FAILED;
        }
      }
      case Headers.UDP -> {
        if ((receiveChecksums & (v4 ? OffloadSettings.UDP4 : OffloadSettings.UDP6)) != 0) {
          told |=
              headers.transportChecksumRight()
                  ? RndisLayout.RECEIVE_UDP_SUCCEEDED
                  : RndisLayout.RECEIVE_UDP_FAILED;
        }
      }
      default -> {}
    }
    return told;
  }
}
