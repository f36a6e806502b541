package dev.partita.vmbus;

import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// The saveable state of the control plane. The rings are saved with guest RAM.
///
/// @param contact the contact in force, or null
/// @param offersRequested whether the guest has been told of the channels
/// @param closing what is due when all channels of an earlier contact are closed, or null
/// @param channels those the guest may know of
/// @param partialGpadls GPADLs whose messages have not all come
public record VmbusServerState(
    @Nullable Contact contact,
    boolean offersRequested,
    @Nullable Closing closing,
    List<Channel> channels,
    List<PartialGpadl> partialGpadls) {

  public VmbusServerState {
    channels = List.copyOf(channels);
    partialGpadls = List.copyOf(partialGpadls);
  }

  /// A guest's contact with the bus.
  ///
  /// @param version of the protocol
  /// @param processor index of the virtual processor that gets the messages
  /// @param source its synthetic interrupt source, for messages and events
  public record Contact(int version, int processor, int source) {}

  /// A reset in progress.
  ///
  /// @param unload whether the guest left; else it made contact
  /// @param contact where the answer goes
  public record Closing(boolean unload, Contact contact) {}

  /// A channel.
  ///
  /// @param instanceId of its device
  /// @param subChannel its index in the device
  /// @param relid its number on the bus; 0 if the guest does not know it
  /// @param revoked whether the host took the offer back
  /// @param released whether the guest has let go of the relid since
  /// @param closing whether its device has not let go yet
  /// @param opening how it is open, or null
  /// @param nextOpening how it is to be opened when it is closed, or null
  /// @param gpadls memory the guest shares with it
  /// @param tearingDown ids of those that it wants back
  public record Channel(
      UUID instanceId,
      int subChannel,
      int relid,
      boolean revoked,
      boolean released,
      boolean closing,
      @Nullable Opening opening,
      @Nullable Opening nextOpening,
      List<Gpadl> gpadls,
      List<Integer> tearingDown) {
    public Channel {
      gpadls = List.copyOf(gpadls);
      tearingDown = List.copyOf(tearingDown);
    }
  }

  /// A GPADL on its way.
  ///
  /// @param id the guest's handle
  /// @param relid of its channel
  /// @param rangeCount as announced
  /// @param size bytes of all ranges, as announced
  /// @param data what has come, not changed after the record is made
  public record PartialGpadl(int id, int relid, int rangeCount, int size, byte[] data) {}
}
