package dev.partita.vmbus;

import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/// The host's end of a ring from guest to host. One thread at a time.
///
/// Memory order. The guest writes a packet and then, with release, the write index; this reads the
/// index with acquire and then the packet, so that it sees all of it. This copies the packet out
/// and then, with release, writes the read index; so the guest writes over nothing that is still to
/// be read.
///
/// Signals. The guest signals when the ring goes from empty to non-empty and the interrupt mask is
/// clear. The consumer that found it empty clears the mask and looks again ({@link
/// #enableInterrupts}); the guest writes the index and then reads mask and read index. That is
/// Dekker's pattern, which acquire and release do not order: both sides have a full fence between
/// their write and their read, so that at least one sees the other's write, and no packet lies
/// there with both asleep.
///
/// In the other direction a guest that found no room sets the pending send size and looks at the
/// read index again. The consumer moves the read index, and after a full fence looks at the pending
/// send size; when the move brought the room over that size, it signals.
///
/// The read index is the host's own: the guest's copy of it is written, never believed.
final class IncomingRing {
  /// feat_pending_send_sz: the producer waits for a signal when it has set its pending send size.
  static final int FEATURE_PENDING_SEND_SIZE = 1;

  private final RingMemory memory;
  private int readIndex;

  /// Goes on where the ring's header says; to be made when the guest has opened the channel, not
  /// before: it clears the header until then.
  ///
  /// @throws MalformedRingException if the header is impossible
  IncomingRing(RingMemory memory) throws MalformedRingException {
    this.memory = memory;
    this.readIndex = memory.headerAcquire(RingMemory.READ_INDEX);
    if (!memory.isIndex(readIndex)) {
      throw new MalformedRingException(
          "read index 0x%x of %d bytes".formatted(readIndex, memory.dataSize()));
    }
  }

  /// What {@link #read} found.
  ///
  /// @param signal whether the guest is to be signalled: it waits for the room that is there now
  record Read(Packet packet, boolean signal) {}

  /// Takes the next packet.
  ///
  /// @return null if there is none
  /// @throws MalformedRingException if what is there is no packet; the ring cannot go on
  @Nullable Read read() throws MalformedRingException {
    int writeIndex = writeIndex();
    int available = memory.distance(readIndex, writeIndex);
    if (available == 0) {
      return null;
    }
    if (available < Packet.HEADER_SIZE + Packet.TRAILER_SIZE) {
      throw new MalformedRingException("%d bytes are no packet".formatted(available));
    }
    // Copied once; indices are multiples of 8, and so is the end of the data.
    long head = memory.readLong(readIndex);
    long transactionId = memory.readLong(memory.advance(readIndex, Long.BYTES));
    int type = (int) head & 0xFFFF;
    int payloadOffset = ((int) (head >>> 16) & 0xFFFF) << 3;
    int length = ((int) (head >>> 32) & 0xFFFF) << 3;
    int flags = (int) (head >>> 48) & 0xFFFF;
    if (payloadOffset < Packet.HEADER_SIZE
        || payloadOffset > length
        || length + Packet.TRAILER_SIZE > available) {
      throw new MalformedRingException(
          "packet of type %d, payload at %d of %d bytes, %d in the ring"
              .formatted(type, payloadOffset, length, available));
    }
    var extension = new byte[payloadOffset - Packet.HEADER_SIZE];
    memory.read(memory.advance(readIndex, Packet.HEADER_SIZE), extension, 0, extension.length);
    var payload = new byte[length - payloadOffset];
    memory.read(memory.advance(readIndex, payloadOffset), payload, 0, payload.length);
    readIndex = memory.advance(readIndex, length + Packet.TRAILER_SIZE);
    memory.setHeaderRelease(RingMemory.READ_INDEX, readIndex);
    boolean signal = isAwaited(length + Packet.TRAILER_SIZE);
    return new Read(new Packet(type, flags, transactionId, extension, payload), signal);
  }

  private int writeIndex() throws MalformedRingException {
    int index = memory.headerAcquire(RingMemory.WRITE_INDEX);
    if (!memory.isIndex(index)) {
      throw new MalformedRingException(
          "write index 0x%x of %d bytes".formatted(index, memory.dataSize()));
    }
    return index;
  }

  /// Whether the guest waits for the room that a packet took. The room before and after is reckoned
  /// with the same write index: one from before the move may be from before the guest's last write,
  /// and show room that it does not have.
  private boolean isAwaited(int packetSize) throws MalformedRingException {
    VarHandle.fullFence();
    int wanted = memory.headerAcquire(RingMemory.PENDING_SEND_SIZE);
    if (wanted == 0
        || (memory.headerAcquire(RingMemory.FEATURES) & FEATURE_PENDING_SEND_SIZE) == 0) {
      return false;
    }
    int room = memory.dataSize() - memory.distance(readIndex, writeIndex());
    return Integer.compareUnsigned(room, wanted) > 0
        && Integer.compareUnsigned(Math.max(0, room - packetSize), wanted) <= 0;
  }

  /// Asks for a signal when there is a packet.
  ///
  /// @return whether there is one already: then there may be no signal
  boolean enableInterrupts() throws MalformedRingException {
    memory.setHeaderRelease(RingMemory.INTERRUPT_MASK, 0);
    VarHandle.fullFence();
    return writeIndex() != readIndex;
  }

  /// Tells the guest that its packets are looked for anyway.
  void disableInterrupts() {
    memory.setHeaderRelease(RingMemory.INTERRUPT_MASK, 1);
  }
}
