package dev.partita.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.engine.software.SoftwareEngine;
import dev.partita.hypervisor.Engine;
import dev.partita.hypervisor.GuestMemory;
import java.util.BitSet;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/// The pages that a guest writes, however an engine finds them out.
@ParameterizedClass
@MethodSource("dev.partita.engine.kvm.TestEngines#allWaysOfTracking")
class DirtyTrackingTest {
  private static final int PAGE = GuestMemory.PAGE_SIZE;

  /// Where {@link #large} has the RAM that guests write.
  private static final long FIRST = 0x40_0000;

  private static final long LIMIT_NANOS = 60_000_000_000L;

  @Parameter Engine engine = new SoftwareEngine();

  @BeforeEach
  void engineIsThere() {
    TestEngines.assumeThere(engine);
  }

  /// A machine with RAM from 4 MiB on at 8 MiB, linear.
  private TestMachine large(long size) {
    var machine =
        new TestMachine(engine, 1, engine.supportedCpuid(), new GuestMemory(FIRST + size));
    for (long at = 0; at < size; at += 2 << 20) {
      // Present, writable, for user mode too, large.
      machine.memory.writeLong(TestMachine.PAGE_DIRECTORY + 32 + (at >> 21) * 8, FIRST + at | 0x87);
    }
    return machine;
  }

  @Test
  void writtenPagesAreDirtyOnce() {
    try (var machine = new TestMachine(engine)) {
      // mov [DATA], eax; mov [DATA + 0x3000], eax; mov al, [DATA + 0x5000]; out END, al
      machine.longMode("89042500000200 89042500300200 8A042500500200 E6F4 F4");
      machine.memory.setTracking(true);
      machine.run();
      assertThat(pages(machine).stream().toArray()).contains(0x20, 0x23).doesNotContain(0x25);
      assertThat(pages(machine).stream().toArray()).doesNotContain(0x20, 0x23);
      machine.processor().setState(TestMachine.longModeState());
      machine.run();
      assertThat(pages(machine).stream().toArray()).contains(0x20, 0x23);
      machine.processor().setState(TestMachine.longModeState());
      machine.run();
      machine.memory.setTracking(false);
      machine.processor().setState(TestMachine.longModeState());
      machine.run();
      machine.memory.setTracking(true);
      assertThat(pages(machine).stream().toArray()).doesNotContain(0x20, 0x23);
    }
  }

  @Test
  void morePagesThanARingHoldsAreAllFound() {
    TestEngines.assumeSoundRings(engine);
    // Three times as many.
    int count = 3 * DirtyRing.ENTRIES;
    try (var machine = large((long) count * PAGE)) {
      machine.memory.setTracking(true);
      // mov edi, 8 MiB; mov ecx, count; mov [rdi], ecx; add rdi, 4096; dec ecx; jnz; out END, al
      machine.longMode(
          "BF00008000 B9%s 890F 4881C700100000 FFC9 75F3 E6F4 F4"
              .formatted(HexFormat.of().toHexDigits(Integer.reverseBytes(count))));
      machine.run();
      assertThat(machine.shutdown).isNull();
      var dirty = pages(machine);
      int first = (int) (FIRST / PAGE);
      assertThat(dirty.nextClearBit(first)).isEqualTo(first + count);
      assertThat(machine.memory.readInt(FIRST)).isEqualTo(count);
      // And watched again.
      machine.processor().setState(TestMachine.longModeState());
      machine.run();
      assertThat(pages(machine).nextClearBit(first)).isEqualTo(first + count);
    }
  }

  @Test
  void noWriteIsLostWhileTheGuestRuns() {
    TestEngines.assumeSoundRings(engine);
    int count = 64;
    try (var machine = large((long) 512 * PAGE)) {
      // A number that grows, into 64 pages in turn:
      // again: mov edi, 8 MiB; mov ecx, 64; next: inc rbx; mov [rdi], rbx; add rdi, 4096; dec ecx
      // jnz next; jmp again
      machine.longMode("BF00008000 B940000000 48FFC3 48891F 4881C700100000 FFC9 75EF EBE3");
      machine.memory.setTracking(true);
      var copy = new long[count];
      var runner = machine.start(machine.processor());
      long deadline = System.nanoTime() + LIMIT_NANOS;
      for (int round = 0; round < 50 || machine.memory.readLong(FIRST) < 10_000; round++) {
        copy(machine, copy);
        assertThat(System.nanoTime()).as("the guest gets nowhere").isLessThan(deadline);
      }
      machine.processor().cancel();
      runner.join();
      // What was written since is in the last answer.
      copy(machine, copy);
      for (int i = 0; i < count; i++) {
        assertThat(copy[i]).isEqualTo(machine.memory.readLong(FIRST + (long) i * PAGE));
      }
      assertThat(copy).doesNotContain(0);
    }
  }

  @Test
  void aRingGoesRoundWithoutLosingAPage() {
    int count = 2 * DirtyRing.ENTRIES / 128;
    try (var machine = large((long) 128 * PAGE)) {
      machine.memory.setTracking(true);
      int first = (int) (FIRST / PAGE);
      // 128 pages, a port write before each that begins anew:
      // out 0x80, al; mov edi, 8 MiB; mov ecx, 128; mov [rdi], ecx; add rdi, 4096; dec ecx; jnz
      // jmp to the begin
      machine.longMode("E680 BF00008000 B980000000 890F 4881C700100000 FFC9 75F3 EBE5");
      var rounds = new int[1];
      machine.hook =
          (processor, _) -> {
            var dirty = pages(machine);
            if (rounds[0] > 0) {
              assertThat(dirty.nextClearBit(first)).isEqualTo(first + 128);
            }
            if (++rounds[0] == count) {
              processor.cancel();
            }
          };
      machine.run();
      assertThat(machine.shutdown).isNull();
      assertThat(rounds[0]).isEqualTo(count);
    }
  }

  private static void copy(TestMachine machine, long[] copy) {
    var dirty = pages(machine);
    for (int i = 0; i < copy.length; i++) {
      if (dirty.get((int) (FIRST / PAGE) + i)) {
        copy[i] = machine.memory.readLong(FIRST + (long) i * PAGE);
      }
    }
  }

  @Test
  void pagesAboveTheHoleOfThe32BitDevicesAreFound() {
    long high = 2 << 20;
    try (var machine =
        new TestMachine(
            engine, 1, engine.supportedCpuid(), new GuestMemory(GuestMemory.LOW_RAM_END + high))) {
      // 4 MiB and what follows, but for the APIC, linear 8 MiB: physical 4 GiB.
      machine.memory.writeLong(TestMachine.PAGE_DIRECTORY + 32, GuestMemory.HIGH_RAM_START | 0x87);
      machine.memory.setTracking(true);
      // mov dword [8 MiB + 0x5000], 0x12345678; out END, al
      machine.longMode("C7042500508000 78563412 E6F4 F4");
      machine.run();
      assertThat(machine.memory.readInt(GuestMemory.HIGH_RAM_START + 0x5000))
          .isEqualTo(0x1234_5678);
      assertThat(pages(machine).get((int) (GuestMemory.LOW_RAM_END / PAGE) + 5)).isTrue();
    }
  }

  @Test
  void everyProcessorsWritesAreFound() {
    try (var machine = new TestMachine(engine, 2, List.of())) {
      // mov eax, [APIC + 0x20]; shr eax, 24; shl eax, 12; mov [DATA + rax], ecx; out END, al
      machine.longMode("8B042520004000 C1E818 C1E00C 898800000200 E6F4 F4");
      machine.partition.processors().get(1).setState(TestMachine.longModeState());
      machine.memory.setTracking(true);
      var first = machine.start(machine.processor());
      var second = machine.start(machine.partition.processors().get(1));
      first.join();
      second.join();
      assertThat(pages(machine).stream().toArray()).contains(0x20, 0x21);
    }
  }

  private static BitSet pages(TestMachine machine) {
    return BitSet.valueOf(machine.memory.takeDirty());
  }
}
