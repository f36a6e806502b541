package dev.partita.synthetic.storage;

import dev.partita.vmbus.Packet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// The saveable state of a SCSI controller.
///
/// @param phase how far its first channel's negotiation is
/// @param version of the protocol, or 0
/// @param rescanDue whether the guest is still to be told of units that came or went
/// @param departed LUNs of units that were pulled out in good order since the guest began
/// @param units state of the units by LUN
/// @param channels those of its channels that have something left to do
public record StorageState(
    Phase phase,
    int version,
    boolean rescanDue,
    Set<Integer> departed,
    Map<Integer, UnitState> units,
    List<ChannelState> channels) {
  /// Of a controller that no guest has opened.
  public static final StorageState NONE =
      new StorageState(Phase.CLOSED, 0, false, Set.of(), Map.of(), List.of());

  public StorageState {
    departed = Set.copyOf(departed);
    units = Map.copyOf(units);
    channels = List.copyOf(channels);
  }

  /// Steps of the negotiation; each names what came last.
  public enum Phase {
    CLOSED,
    BEGUN,
    VERSIONED,
    DESCRIBED,
    READY
  }

  /// What a channel has yet to do.
  ///
  /// @param completions that found no room in the ring, first the oldest
  /// @param requests that have not begun, first the oldest
  public record ChannelState(int subChannel, List<Completion> completions, List<Packet> requests) {
    public ChannelState {
      completions = List.copyOf(completions);
      requests = List.copyOf(requests);
    }

    boolean isEmpty() {
      return completions.isEmpty() && requests.isEmpty();
    }
  }

  /// A completion.
  ///
  /// @param payload the packet, not changed after the record is made
  public record Completion(long transactionId, byte[] payload) {
    @Override
    public boolean equals(Object other) {
      return other instanceof Completion o
          && transactionId == o.transactionId
          && java.util.Arrays.equals(payload, o.payload);
    }

    @Override
    public int hashCode() {
      return Long.hashCode(transactionId) * 31 + java.util.Arrays.hashCode(payload);
    }
  }
}
