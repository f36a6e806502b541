package dev.partita.synthetic.network;

import dev.partita.network.MacAddress;
import dev.partita.vmbus.Packet;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// The saveable state of a NIC. What its buffers hold is saved with guest RAM.
///
/// @param driver how the driver has set it up, or null if there is none
/// @param address it has now
/// @param linkTold whether the guest was told that its link is up
/// @param changeDue whether it is still to be told that it is in another network
/// @param statistics what went through it
/// @param controls control messages that wait for room, not changed after the record is made
/// @param queues its open channels
public record NicState(
    @Nullable Driver driver,
    MacAddress address,
    boolean linkTold,
    boolean changeDue,
    NicStatistics statistics,
    List<byte[]> controls,
    List<Queue> queues) {
  public NicState {
    controls = List.copyOf(controls);
    queues = List.copyOf(queues);
  }

  /// What was agreed with the driver.
  ///
  /// @param version of the protocol, as Linux has it: 0x60001 is 6.1
  /// @param ndis its version of NDIS, the major one in the upper half
  /// @param frameSize octets of the largest frame
  /// @param capabilities of the driver
  /// @param receive its receive buffer, or null
  /// @param send its send buffer, or null
  /// @param initialized whether remote NDIS is
  /// @param filter packets it wants
  /// @param multicast addresses it wants
  /// @param offloads what the NIC does for it: sent checksums, received ones, large sends, joining
  /// @param scaling how flows are spread over queues, or null
  public record Driver(
      int version,
      int ndis,
      int frameSize,
      long capabilities,
      @Nullable Buffer receive,
      @Nullable Buffer send,
      boolean initialized,
      int filter,
      List<Long> multicast,
      List<Integer> offloads,
      @Nullable Scaling scaling) {
    public Driver {
      multicast = List.copyOf(multicast);
      offloads = List.copyOf(offloads);
    }
  }

  /// A buffer.
  ///
  /// @param gpadl the guest's handle of its memory
  /// @param id the guest's number of it
  /// @param sectionSize bytes of a section
  /// @param sections how many there are
  public record Buffer(int gpadl, int id, int sectionSize, int sections) {}

  /// How flows are spread.
  ///
  /// @param hashes the function and what it is applied to
  /// @param key octets
  /// @param table queues by the hash's last bits
  public record Scaling(int hashes, List<Byte> key, List<Byte> table) {
    public Scaling {
      key = List.copyOf(key);
      table = List.copyOf(table);
    }
  }

  /// A channel.
  ///
  /// @param index 0 for the first
  /// @param lent packets of receive sections that the guest has
  /// @param taken sections of a packet that is not sent
  /// @param lengths bytes in each of them
  /// @param completions that wait for room in the ring
  /// @param held packets of the guest that wait for bandwidth
  public record Queue(
      int index,
      List<List<Integer>> lent,
      List<Integer> taken,
      List<Integer> lengths,
      List<Completion> completions,
      List<Held> held) {
    public Queue {
      lent = List.copyOf(lent);
      taken = List.copyOf(taken);
      lengths = List.copyOf(lengths);
      completions = List.copyOf(completions);
      held = List.copyOf(held);
    }
  }

  /// An answer to a packet.
  ///
  /// @param transactionId the packet's
  /// @param payload not changed after the record is made
  public record Completion(long transactionId, byte[] payload) {}

  /// A packet, some of whose frames may be on their way.
  ///
  /// @param done octets of it that are
  public record Held(Packet packet, int done) {}
}
