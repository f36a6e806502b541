package dev.partita.vmbus;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.partita.hypervisor.GuestMemory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// A guest that writes anything into its rings, before and between the host's reads and writes: the
/// host reads what an independent parser reads or finds the ring malformed, and writes nowhere but
/// into the free part of the ring.
class RingFuzzTest {
  private static final int PAGE = 4096;

  /// Header and two pages of data, apart from one another.
  private static final long[] PAGES = {7, 3, 5};

  private static final int DATA = 2 * PAGE;
  private static final int ALL = 9 * PAGE;

  private final GuestMemory memory = new GuestMemory(1 << 20);

  @AfterEach
  void close() {
    memory.close();
  }

  @FuzzTest
  void fuzz(byte[] input) {
    var in = ByteBuffer.wrap(input).order(ByteOrder.LITTLE_ENDIAN);
    memory.write(0, new byte[ALL]);
    scribble(in);
    try {
      if (next(in) % 2 == 0) {
        readAll(in);
      } else {
        writeAll(in);
      }
    } catch (MalformedRingException e) {
      assertThat(e.getMessage()).isNotEmpty();
    }
  }

  @Test
  void randomRingsHold() {
    var random = new SplittableRandom(0x5EED);
    for (int i = 0; i < 2_000; i++) {
      var input = new byte[random.nextInt(600)];
      random.nextBytes(input);
      fuzz(input);
    }
  }

  private static int next(ByteBuffer in) {
    return in.hasRemaining() ? in.get() & 0xFF : 0;
  }

  private static int number(ByteBuffer in) {
    int small = next(in);
    return small < 0xE0 || in.remaining() < 4 ? small * 8 : in.getInt();
  }

  /// Header fields, and packets that are nearly right.
  private void scribble(ByteBuffer in) {
    for (int field : new int[] {0, 4, 8, 12, 64}) {
      memory.writeInt(address(-PAGE + field), number(in));
    }
    int position = next(in) * 8;
    for (int i = next(in) % 24; i > 0; i--) {
      int length = next(in);
      int offset = next(in) % 4 == 0 ? next(in) : 2;
      long head = next(in) % 16 | (long) offset << 16 | (long) length << 32 | (long) i << 48;
      memory.writeLong(address(position), head);
      memory.writeLong(address((position + 8) % DATA), in.remaining());
      position = (position + length * 8 + 8) % DATA;
    }
  }

  private void scribbleHeader(ByteBuffer in) {
    int[] fields = {0, 4, 8, 12, 64};
    memory.writeInt(address(-PAGE + fields[next(in) % fields.length]), number(in));
  }

  /// @param position in the data; negative is in the header
  private static long address(int position) {
    int page = Math.floorDiv(position, PAGE) + 1;
    return PAGES[page] * PAGE + Math.floorMod(position, PAGE);
  }

  private void readAll(ByteBuffer in) throws MalformedRingException {
    var ring = new IncomingRing(new RingMemory(memory, PAGES));
    int readIndex = memory.readInt(address(-PAGE + 4));
    for (int i = 0; i < 64; i++) {
      int writeIndex = memory.readInt(address(-PAGE));
      var read = ring.read();
      if (read == null) {
        assertThat(writeIndex).isEqualTo(readIndex);
        if (!in.hasRemaining()) {
          return;
        }
      } else {
        readIndex = assertIsThere(read.packet(), readIndex, writeIndex);
        assertThat(memory.readInt(address(-PAGE + 4))).isEqualTo(readIndex);
      }
      if (next(in) % 3 == 0) {
        scribbleHeader(in);
      }
    }
  }

  /// Reads a packet in another way.
  ///
  /// @return the read index after it
  private int assertIsThere(Packet packet, int readIndex, int writeIndex) {
    var data = ByteBuffer.allocate(2 * DATA).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < 2 * DATA; i += PAGE) {
      data.put(memory.read(address(i % DATA), PAGE));
    }
    data.position(readIndex);
    assertThat(packet.type()).isEqualTo(data.getShort() & 0xFFFF);
    int offset = (data.getShort() & 0xFFFF) * 8;
    int length = (data.getShort() & 0xFFFF) * 8;
    assertThat(packet.flags()).isEqualTo(data.getShort() & 0xFFFF);
    assertThat(packet.transactionId()).isEqualTo(data.getLong());
    assertThat(offset).isBetween(16, length);
    assertThat(length + 8).isLessThanOrEqualTo(Math.floorMod(writeIndex - readIndex, DATA));
    var all = data.array();
    assertThat(packet.extension())
        .isEqualTo(Arrays.copyOfRange(all, readIndex + 16, readIndex + offset));
    assertThat(packet.payload())
        .isEqualTo(Arrays.copyOfRange(all, readIndex + offset, readIndex + length));
    return (readIndex + length + 8) % DATA;
  }

  private void writeAll(ByteBuffer in) throws MalformedRingException {
    var ring = new OutgoingRing(new RingMemory(memory, PAGES));
    int writeIndex = memory.readInt(address(-PAGE));
    for (int i = 0; i < 64 && in.hasRemaining(); i++) {
      int readIndex = memory.readInt(address(-PAGE + 4));
      var before = memory.read(0, ALL);
      int payload = next(in) * 4;
      var written = ring.write(6, 0, i, new byte[0], new byte[payload]);
      int total = 16 + (payload + 7 & ~7) + 8;
      int room = DATA - Math.floorMod(writeIndex - readIndex, DATA);
      assertThat(written == OutgoingRing.Written.FULL).isEqualTo(room <= total);
      assertOnlyChanged(before, writeIndex, written == OutgoingRing.Written.FULL ? 0 : total);
      if (written != OutgoingRing.Written.FULL) {
        writeIndex = (writeIndex + total) % DATA;
      }
      assertThat(memory.readInt(address(-PAGE))).isEqualTo(writeIndex);
      if (next(in) % 3 == 0) {
        memory.writeInt(address(-PAGE + 4), number(in));
      }
      if (next(in) % 8 == 0) {
        // The host's own index, which it must not believe.
        memory.writeInt(address(-PAGE), writeIndex);
        memory.writeInt(address(-PAGE + 8), next(in));
      }
    }
  }

  private void assertOnlyChanged(byte[] before, int from, int length) {
    var after = memory.read(0, ALL);
    var allowed = new boolean[ALL];
    for (int field : new int[] {0, 12, 64}) {
      Arrays.fill(allowed, (int) address(-PAGE + field), (int) address(-PAGE + field) + 4, true);
    }
    for (int i = 0; i < length; i++) {
      allowed[(int) address((from + i) % DATA)] = true;
    }
    for (int i = 0; i < ALL; i++) {
      if (before[i] != after[i] && !allowed[i]) {
        throw new AssertionError("byte 0x%x changed".formatted(i));
      }
    }
  }
}
