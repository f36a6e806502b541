package dev.partita.vmbus;

import java.lang.invoke.VarHandle;

/// The host's end of a ring from host to guest. One thread at a time. Memory order and signals are
/// those of {@link IncomingRing}, with the sides exchanged.
///
/// A ring is never completely full, for then it would look empty.
final class OutgoingRing {
  private final RingMemory memory;
  private int writeIndex;
  private boolean waiting;

  /// Goes on where the ring's header says.
  ///
  /// @throws MalformedRingException if the header is impossible
  OutgoingRing(RingMemory memory) throws MalformedRingException {
    this.memory = memory;
    this.writeIndex = memory.headerAcquire(RingMemory.WRITE_INDEX);
    if (!memory.isIndex(writeIndex)) {
      throw new MalformedRingException(
          "write index 0x%x of %d bytes".formatted(writeIndex, memory.dataSize()));
    }
    waiting = memory.headerAcquire(RingMemory.PENDING_SEND_SIZE) != 0;
    // Each producer says of itself that it waits for signals. Linux says it for both.
    memory.setHeaderRelease(RingMemory.FEATURES, IncomingRing.FEATURE_PENDING_SEND_SIZE);
  }

  /// What came of a write.
  enum Written {
    /// It is in the ring, and the guest is looking or has been signalled before.
    QUIETLY,
    /// It is in the ring, and the guest is to be signalled.
    SIGNAL,
    /// There is no room; the guest signals when there is.
    FULL
  }

  /// The largest packet that an empty ring takes: header, extension and payload.
  int largestPacket() {
    return memory.dataSize() - 2 * Packet.TRAILER_SIZE;
  }

  /// Writes a packet.
  ///
  /// @param extension a multiple of 8 bytes
  /// @param payload any length; it is padded with zeros to a multiple of 8
  /// @throws IllegalArgumentException if an empty ring could not take it
  /// @throws MalformedRingException if the guest's index is impossible; the ring cannot go on
  Written write(int type, int flags, long transactionId, byte[] extension, byte[] payload)
      throws MalformedRingException {
    int payloadOffset = Packet.HEADER_SIZE + extension.length;
    int length = payloadOffset + (payload.length + 7 & ~7);
    if (length > largestPacket() || length >> 3 > 0xFFFF || extension.length % 8 != 0) {
      throw new IllegalArgumentException(
          "packet of %d bytes for a ring of %d".formatted(length, memory.dataSize()));
    }
    int total = length + Packet.TRAILER_SIZE;
    if (room() <= total) {
      waiting = true;
      memory.setHeaderRelease(RingMemory.PENDING_SEND_SIZE, total);
      VarHandle.fullFence();
      if (room() <= total) {
        return Written.FULL;
      }
    }
    if (waiting) {
      waiting = false;
      memory.setHeaderRelease(RingMemory.PENDING_SEND_SIZE, 0);
    }
    int start = writeIndex;
    memory.writeLong(
        start,
        type | (long) (payloadOffset >> 3) << 16 | (long) (length >> 3) << 32 | (long) flags << 48);
    memory.writeLong(memory.advance(start, Long.BYTES), transactionId);
    memory.write(memory.advance(start, Packet.HEADER_SIZE), extension);
    if ((payload.length & 7) != 0) {
      // The padding's word first, then the payload over its beginning.
      memory.writeLong(memory.advance(start, length - Long.BYTES), 0);
    }
    memory.write(memory.advance(start, payloadOffset), payload);
    memory.writeLong(memory.advance(start, length), (long) start << 32);
    writeIndex = memory.advance(start, total);
    memory.setHeaderRelease(RingMemory.WRITE_INDEX, writeIndex);
    VarHandle.fullFence();
    boolean masked = memory.headerAcquire(RingMemory.INTERRUPT_MASK) != 0;
    return !masked && readIndex() == start ? Written.SIGNAL : Written.QUIETLY;
  }

  private int readIndex() throws MalformedRingException {
    int index = memory.headerAcquire(RingMemory.READ_INDEX);
    if (!memory.isIndex(index)) {
      throw new MalformedRingException(
          "read index 0x%x of %d bytes".formatted(index, memory.dataSize()));
    }
    return index;
  }

  private int room() throws MalformedRingException {
    return memory.dataSize() - memory.distance(readIndex(), writeIndex);
  }
}
