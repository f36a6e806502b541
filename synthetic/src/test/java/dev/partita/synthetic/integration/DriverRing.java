package dev.partita.synthetic.integration;

import dev.partita.hypervisor.GuestMemory;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// The driver's end of a channel's two rings, each of one data page: what goes to the host at one
/// page, what comes from it at another.
final class DriverRing {
  private static final int SIZE = GuestMemory.PAGE_SIZE;

  private final GuestMemory memory;
  private final long toHost;
  private final long fromHost;

  DriverRing(GuestMemory memory, long toHost, long fromHost) {
    this.memory = memory;
    this.toHost = toHost;
    this.fromHost = fromHost;
    memory.write(toHost, new byte[2 * SIZE]);
    memory.write(fromHost, new byte[2 * SIZE]);
    memory.writeInt(toHost + 64, 1);
    memory.writeInt(fromHost + 64, 1);
  }

  private void copy(long ring, int index, byte[] bytes, boolean in) {
    for (int i = 0; i < bytes.length; i++) {
      long address = ring + SIZE + (index + i) % SIZE;
      if (in) {
        memory.writeByte(address, bytes[i]);
      } else {
        bytes[i] = memory.readByte(address);
      }
    }
  }

  /// Writes an in-band packet.
  void write(byte[] payload) {
    var padded = Arrays.copyOf(payload, payload.length + 7 & ~7);
    int index = memory.readInt(toHost);
    var packet = new byte[16 + padded.length + 8];
    packet[0] = 6;
    packet[2] = 2;
    packet[4] = (byte) (packet.length - 8 >> 3);
    packet[5] = (byte) (packet.length - 8 >> 11);
    System.arraycopy(padded, 0, packet, 16, padded.length);
    copy(toHost, index, packet, true);
    memory.writeInt(toHost, (index + packet.length) % SIZE);
  }

  boolean allRead() {
    return memory.readInt(toHost) == memory.readInt(toHost + 4);
  }

  /// The payload of the next packet, or null.
  byte @Nullable [] read() {
    int index = memory.readInt(fromHost + 4);
    if (index == memory.readInt(fromHost)) {
      return null;
    }
    var head = new byte[16];
    copy(fromHost, index, head, false);
    int length = ((head[4] & 0xFF) | (head[5] & 0xFF) << 8) << 3;
    var payload = new byte[length - 16];
    copy(fromHost, (index + 16) % SIZE, payload, false);
    memory.writeInt(fromHost + 4, (index + length + 8) % SIZE);
    return payload;
  }
}
