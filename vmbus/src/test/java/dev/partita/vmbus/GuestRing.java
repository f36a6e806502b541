package dev.partita.vmbus;

import java.lang.invoke.VarHandle;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// The guest's end of both rings of a channel, by the rules of Linux' `ring_buffer.c`.
final class GuestRing {
  private final RingMemory memory;
  private int writeIndex;
  private int readIndex;

  GuestRing(RingMemory memory) {
    this.memory = memory;
    memory.setHeaderRelease(RingMemory.WRITE_INDEX, 0);
    memory.setHeaderRelease(RingMemory.READ_INDEX, 0);
    memory.setHeaderRelease(RingMemory.INTERRUPT_MASK, 0);
    memory.setHeaderRelease(RingMemory.PENDING_SEND_SIZE, 0);
    memory.setHeaderRelease(RingMemory.FEATURES, 1);
  }

  /// The same guest on another host, where its memory has been copied to.
  GuestRing(RingMemory memory, GuestRing earlier) {
    this.memory = memory;
    writeIndex = earlier.writeIndex;
    readIndex = earlier.readIndex;
  }

  /// As {@link OutgoingRing.Written}.
  OutgoingRing.Written write(int type, int flags, long transactionId, byte[] payload) {
    int length = 16 + (payload.length + 7 & ~7);
    int total = length + 8;
    if (room() <= total) {
      memory.setHeaderRelease(RingMemory.PENDING_SEND_SIZE, total);
      VarHandle.fullFence();
      if (room() <= total) {
        return OutgoingRing.Written.FULL;
      }
    }
    memory.setHeaderRelease(RingMemory.PENDING_SEND_SIZE, 0);
    int start = writeIndex;
    memory.writeLong(start, type | 2L << 16 | (long) (length >> 3) << 32 | (long) flags << 48);
    memory.writeLong(memory.advance(start, 8), transactionId);
    memory.write(memory.advance(start, 16), Arrays.copyOf(payload, length - 16));
    memory.writeLong(memory.advance(start, length), (long) start << 32);
    writeIndex = memory.advance(start, total);
    memory.setHeaderRelease(RingMemory.WRITE_INDEX, writeIndex);
    VarHandle.fullFence();
    return memory.headerAcquire(RingMemory.INTERRUPT_MASK) == 0
            && memory.headerAcquire(RingMemory.READ_INDEX) == start
        ? OutgoingRing.Written.SIGNAL
        : OutgoingRing.Written.QUIETLY;
  }

  private int room() {
    return memory.dataSize()
        - memory.distance(memory.headerAcquire(RingMemory.READ_INDEX), writeIndex);
  }

  /// A packet in the ring, and whether the host waits for the room it took.
  record Read(int type, int flags, long transactionId, byte[] rest, boolean signal) {}

  /// The next packet, or null.
  @Nullable Read read() {
    int available = memory.distance(readIndex, memory.headerAcquire(RingMemory.WRITE_INDEX));
    if (available == 0) {
      return null;
    }
    long head = memory.readLong(readIndex);
    int length = ((int) (head >>> 32) & 0xFFFF) << 3;
    if (memory.readLong(memory.advance(readIndex, length)) >>> 32 != readIndex) {
      throw new AssertionError("trailer");
    }
    var rest = new byte[length - 16];
    memory.read(memory.advance(readIndex, 16), rest, 0, rest.length);
    long id = memory.readLong(memory.advance(readIndex, 8));
    readIndex = memory.advance(readIndex, length + 8);
    memory.setHeaderRelease(RingMemory.READ_INDEX, readIndex);
    VarHandle.fullFence();
    int wanted = memory.headerAcquire(RingMemory.PENDING_SEND_SIZE);
    int room =
        memory.dataSize()
            - memory.distance(readIndex, memory.headerAcquire(RingMemory.WRITE_INDEX));
    boolean signal = wanted != 0 && room > wanted && room - length - 8 <= wanted;
    return new Read((int) head & 0xFFFF, (int) (head >>> 48) & 0xFFFF, id, rest, signal);
  }

  /// @return whether there is something to read already
  boolean enableInterrupts() {
    memory.setHeaderRelease(RingMemory.INTERRUPT_MASK, 0);
    VarHandle.fullFence();
    return memory.headerAcquire(RingMemory.WRITE_INDEX) != readIndex;
  }

  void disableInterrupts() {
    memory.setHeaderRelease(RingMemory.INTERRUPT_MASK, 1);
  }
}
