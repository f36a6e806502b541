package dev.partita.synthetic.network;

import java.util.List;

/// What went through a NIC since it was made. Sent is what the guest sends.
///
/// @param sent what the guest sent, as it was accepted by the port
/// @param received what the guest was given
/// @param sendDropped frames of the guest that the port's other side had no room for
/// @param sendMalformed packets of the guest that are none
/// @param sendThrottled times that a queue waited because the port's bandwidth was used up
/// @param receiveFiltered frames that the guest does not want
/// @param receiveRefused times that the guest had no room for a frame
/// @param receiveDropped frames given up, because there was nowhere to put them: no driver, or one
///     that has no buffer
/// @param coalesced large frames given to the guest, each instead of several segments
/// @param controls messages that configure it
/// @param queues by queue: what is open of {@link NicSettings#queues}, or was
public record NicStatistics(
    Traffic sent,
    Traffic received,
    long sendDropped,
    long sendMalformed,
    long sendThrottled,
    long receiveFiltered,
    long receiveRefused,
    long receiveDropped,
    long coalesced,
    long controls,
    List<Queue> queues) {
  public NicStatistics {
    queues = List.copyOf(queues);
  }

  /// Frames in one direction.
  ///
  /// @param unicast frames to one station
  /// @param multicast frames to several
  /// @param broadcast frames to all
  /// @param octets of all of them
  public record Traffic(long unicast, long multicast, long broadcast, long octets) {
    /// All frames.
    public long frames() {
      return unicast + multicast + broadcast;
    }
  }

  /// One queue.
  ///
  /// @param index 0 for the first channel
  public record Queue(
      int index, long sentFrames, long sentOctets, long receivedFrames, long receivedOctets) {}
}
