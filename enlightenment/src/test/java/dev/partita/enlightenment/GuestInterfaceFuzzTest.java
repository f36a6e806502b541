package dev.partita.enlightenment;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.VirtualProcessor.Mode;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/// A guest that uses MSRs, hypercalls and its own memory in any way, and a host that posts and
/// signals and saves and restores meanwhile: nothing throws, every hypercall has a status, and the
/// messages that the host could post arrive in their order, none of them twice.
class GuestInterfaceFuzzTest {
  private static final int SYNIC_SOURCE = 3;

  /// No other page of this test's: here the messages are fetched at the end.
  private static final long LAST_MESSAGES = 0x20_0000;

  private static final int[] REGISTERS = {
    0x4000_0000, 0x4000_0001, 0x4000_0002, 0x4000_0020, 0x4000_0021, 0x4000_0022, 0x4000_0073,
    0x4000_0080, 0x4000_0081, 0x4000_0082, 0x4000_0083, 0x4000_0084, 0x4000_0092, 0x4000_0093,
    0x4000_00B0, 0x4000_00B1, 0x4000_00B2, 0x4000_00B3, 0x4000_0100, 0x4000_0103, 0x4000_0104,
    0x4000_0105, 0x4000_0118
  };

  @FuzzTest
  void fuzz(byte[] input) {
    try (var run = new Run(ByteBuffer.wrap(input).order(ByteOrder.LITTLE_ENDIAN))) {
      run.steps();
      run.fetchTheRest();
    }
  }

  @Test
  void randomUseHolds() {
    var random = new SplittableRandom(0x5EED);
    for (int i = 0; i < 500; i++) {
      var input = new byte[random.nextInt(400)];
      random.nextBytes(input);
      fuzz(input);
    }
  }

  private static final class Run implements AutoCloseable {
    private final ByteBuffer in;
    private Guest guest = newGuest();
    private int posted;
    private int fetched;

    Run(ByteBuffer in) {
      this.in = in;
    }

    /// With a port that takes anything, and one that is busy.
    private static Guest newGuest() {
      var guest = new Guest(2, 1_000_000_000);
      var synic = guest.enlightenment.synic();
      synic.connect(1, (MessagePort) (_, _) -> MessagePort.Answer.ACCEPTED);
      synic.connect(4, (MessagePort) (_, _) -> MessagePort.Answer.INSUFFICIENT_BUFFERS);
      synic.connect(0x2001, (EventPort) _ -> {});
      return guest;
    }

    private int next() {
      return in.hasRemaining() ? in.get() & 0xFF : 0;
    }

    /// Small numbers, page addresses with or without the lowest bit, or anything.
    private long number() {
      int kind = next();
      return switch (kind % 4) {
        case 0 -> kind >> 2;
        case 1 -> (long) next() << 12 | kind >> 2 & 1;
        case 2 -> 1L << next();
        default -> in.remaining() < 8 ? -1 : in.getLong();
      };
    }

    void steps() {
      while (in.hasRemaining()) {
        switch (next() % 9) {
          case 0, 1 -> guest.wrmsr(next() & 1, register(), number());
          case 2 -> guest.rdmsr(next() & 1, register());
          case 3, 4 -> hypercall();
          case 5 -> post();
          case 6 -> guest.enlightenment.synic().signalEvent(next() & 1, next() & 15, next() * 8);
          case 7 -> scribble();
          default -> {
            guest.time.advance(next() * 10_000L);
            if (next() % 4 == 0) {
              saveAndRestore();
            }
          }
        }
        guest.takeInterrupts();
        guest.crashes.clear();
      }
    }

    private int register() {
      int which = next();
      return which < 0xF0 ? REGISTERS[which % REGISTERS.length] : 0x4000_0000 + (int) number();
    }

    private void hypercall() {
      var processor = guest.processors.getFirst();
      processor.mode = Mode.values()[next() % Mode.values().length];
      processor.privilegeLevel = next() % 8 == 0 ? 3 : 0;
      long control = next() % 4 == 0 ? number() : 0x5C + next() % 3 | (next() & 1L) << 16;
      long input = number();
      var general = processor.general;
      general[ProcessorState.RCX] = control;
      general[ProcessorState.RDX] = input;
      general[ProcessorState.RAX] = number();
      general[ProcessorState.RBX] = number();
      if (processor.mode == Mode.PROTECTED && next() % 2 == 0) {
        general[ProcessorState.RDX] = control >>> 32;
        general[ProcessorState.RAX] = control & 0xFFFF_FFFFL;
        general[ProcessorState.RCX] = input;
        general[ProcessorState.RBX] = input >>> 32;
      }
      boolean fast = next() % 4 == 0;
      if (guest.out(fast ? 0xE1 : 0xE0, 4)) {
        assertThat(processor.mode).isNotIn(Mode.REAL, Mode.VIRTUAL_8086);
        assertThat(processor.privilegeLevel).isZero();
        if (!fast) {
          assertThat(general[ProcessorState.RAX]).isIn(0L, 2L, 3L, 4L, 5L, 6L, 0x12L, 0x13L);
        }
      }
    }

    /// To one source, numbered.
    private void post() {
      var payload = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(posted + 1);
      if (guest.enlightenment.synic().post(1, SYNIC_SOURCE, 1, 0, payload.array())) {
        posted++;
      }
    }

    /// A parameter block, or anything, in the first megabyte.
    private void scribble() {
      long address = (next() << 12) + (next() % 4 == 0 ? next() * 8L : 0);
      guest.memory().writeLong(address, number());
      guest.memory().writeLong(address + 8, number());
    }

    private void saveAndRestore() {
      var state = guest.enlightenment.state();
      var fresh = newGuest();
      fresh.time.advance(guest.time.nanoTime());
      fresh.memory().write(0, guest.memory().read(0, (int) guest.memory().size()));
      guest.close();
      guest = fresh;
      fresh.enlightenment.restore(state);
    }

    /// What has not been lost with the guest's pages comes in order, and the last of all.
    void fetchTheRest() {
      guest.wrmsr(1, 0x4000_0080, 0);
      // Timers of the same source would stand between.
      for (int timer = 0; timer < 4; timer++) {
        guest.wrmsr(1, 0x4000_00B0 + 2 * timer, 0);
      }
      int waiting = guest.enlightenment.synic().waiting(1, SYNIC_SOURCE);
      assertThat(waiting).isLessThanOrEqualTo(Synic.MOST_WAITING);
      assertThat(guest.wrmsr(1, 0x4000_0083, 0)).isTrue();
      assertThat(guest.wrmsr(1, 0x4000_0083, LAST_MESSAGES | 1)).isTrue();
      assertThat(guest.wrmsr(1, 0x4000_0090 + SYNIC_SOURCE, 0x55)).isTrue();
      assertThat(guest.wrmsr(1, 0x4000_0080, 1)).isTrue();
      long slot = LAST_MESSAGES + SYNIC_SOURCE * 256;
      for (int i = 0; i < waiting; i++) {
        assertThat(guest.memory().readInt(slot)).isEqualTo(1);
        long number = guest.memory().readLong(slot + 16);
        assertThat(number).isEqualTo(posted - waiting + i + 1L);
        assertThat(number).isGreaterThan(fetched);
        fetched = (int) number;
        guest.memory().writeInt(slot, 0);
        assertThat(guest.wrmsr(1, 0x4000_0084, 0)).isTrue();
      }
      assertThat(guest.memory().readInt(slot)).isZero();
    }

    @Override
    public void close() {
      guest.enlightenment.close();
      guest.close();
    }
  }
}
