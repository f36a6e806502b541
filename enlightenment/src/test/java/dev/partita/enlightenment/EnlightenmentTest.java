package dev.partita.enlightenment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.VirtualProcessor.Mode;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class EnlightenmentTest {
  private static final int GUEST_OS_ID = 0x4000_0000;
  private static final int HYPERCALL = 0x4000_0001;
  private static final int REFERENCE_TSC = 0x4000_0021;
  private static final int VP_ASSIST_PAGE = 0x4000_0073;
  private static final int CRASH_P0 = 0x4000_0100;
  private static final int CRASH_CTL = 0x4000_0105;
  private static final int TSC_INVARIANT_CONTROL = 0x4000_0118;
  private static final long TSC_FREQUENCY = 2_100_000_000L;
  private static final long LINUX = 0x8100_0601_0000_0000L;

  private final Guest guest = new Guest(2, TSC_FREQUENCY);

  @AfterEach
  void close() {
    guest.close();
  }

  @Test
  void frequenciesAndIndexAreReadOnly() {
    assertThat(guest.rdmsr(0x4000_0022)).isEqualTo(TSC_FREQUENCY);
    assertThat(guest.rdmsr(0x4000_0023)).isEqualTo(Guest.APIC_FREQUENCY);
    assertThat(guest.rdmsr(0, 0x4000_0002)).hasValue(0);
    assertThat(guest.rdmsr(1, 0x4000_0002)).hasValue(1);
    for (int index : new int[] {0x4000_0002, 0x4000_0020, 0x4000_0022, 0x4000_0023}) {
      assertThat(guest.wrmsr(index, 0)).as("write of 0x%x", index).isFalse();
    }
  }

  /// Reset, run time, debug, EOI, ICR, TPR, gaps among SynIC and timers, re-enlightenment, idle,
  /// statistics.
  @ParameterizedTest
  @ValueSource(
      ints = {
        0x40000003,
        0x40000010,
        0x40000070,
        0x40000071,
        0x40000072,
        0x4000007F,
        0x40000085,
        0x4000008F,
        0x400000A0,
        0x400000AF,
        0x400000B8,
        0x400000F0,
        0x40000106,
        0x40000107,
        0x40000117,
        0x40000119,
        0x400001FF
      })
  void whatIsNotOfferedFaults(int index) {
    assertThat(guest.rdmsr(0, index)).isEmpty();
    assertThat(guest.wrmsr(index, 0)).isFalse();
    assertThat(
            guest.enlightenment.handle(
                guest.processors.getFirst(), new Intercept.MsrRead().prepare(index)))
        .as("belongs to the hypervisor")
        .isTrue();
  }

  @Test
  void otherRegistersAreLeftToOthers() {
    for (int index : new int[] {0x10, 0x1B, 0x3FFF_FFFF, 0x4000_0200, 0xC000_0080, 0x4B56_4D00}) {
      assertThat(
              guest.enlightenment.handle(
                  guest.processors.getFirst(), new Intercept.MsrRead().prepare(index)))
          .isFalse();
      assertThat(
              guest.enlightenment.handle(
                  guest.processors.getFirst(), new Intercept.MsrWrite().prepare(index, 0)))
          .isFalse();
    }
    assertThat(guest.enlightenment.handle(guest.processors.getFirst(), new Intercept.Halt()))
        .isFalse();
  }

  @Test
  void partitionWithoutTheLeavesHasNoneOfTheRegisters() {
    try (var bare = new Guest(1, TSC_FREQUENCY, base -> List.of())) {
      for (int index = 0x4000_0000; index <= 0x4000_01FF; index++) {
        assertThat(bare.rdmsr(0, index)).as("0x%x", index).isEmpty();
        assertThat(bare.wrmsr(index, 1)).as("0x%x", index).isFalse();
      }
    }
  }

  @Test
  void hypercallPageNeedsAnIdentity() {
    assertThat(guest.wrmsr(HYPERCALL, 0x3001)).isTrue();
    assertThat(guest.rdmsr(HYPERCALL)).isEqualTo(0x3000);
    assertThat(guest.memory().readInt(0x3000)).isZero();
  }

  @Test
  void hypercallPageCoversRamAndUncoversItWhenMovedOrDisabled() {
    guest.memory().writeLong(0x3000, 0x1122334455667788L);
    guest.memory().writeLong(0x3FF8, 42);
    guest.memory().writeLong(0x8000, 7);
    guest.wrmsr(GUEST_OS_ID, LINUX);
    assertThat(guest.wrmsr(HYPERCALL, 0x3001)).isTrue();
    assertThat(guest.rdmsr(1, HYPERCALL)).as("seen by the other processor").hasValue(0x3001);
    byte[] page = guest.memory().read(0x3000, 4096);
    int[] code = {
      0xF3, 0x0F, 0x1E, 0xFA, 0x81, 0xF9, 0x5D, 0, 1, 0, 0x75, 7, 0x89, 0xD0, 0xE7, 0xE1, 0x31,
      0xC0, 0xC3, 0xE7, 0xE0, 0xC3
    };
    assertThat(page).startsWith(code);
    for (int i = code.length; i < 4096; i++) {
      assertThat(page[i]).isEqualTo((byte) 0xCC);
    }

    assertThat(guest.wrmsr(HYPERCALL, 0x8001)).isTrue();
    assertThat(guest.memory().readLong(0x3000)).isEqualTo(0x1122334455667788L);
    assertThat(guest.memory().readLong(0x3FF8)).isEqualTo(42);
    assertThat(guest.memory().readByte(0x8000)).isEqualTo((byte) 0xF3);

    assertThat(guest.wrmsr(HYPERCALL, 0x8000)).isTrue();
    assertThat(guest.memory().readLong(0x8000)).isEqualTo(7);
  }

  @Test
  void identityOfZeroDisablesTheHypercallPage() {
    guest.memory().writeLong(0x3000, 99);
    guest.wrmsr(GUEST_OS_ID, LINUX);
    guest.wrmsr(HYPERCALL, 0x3001);
    assertThat(guest.wrmsr(GUEST_OS_ID, 0)).isTrue();
    assertThat(guest.rdmsr(HYPERCALL)).isEqualTo(0x3000);
    assertThat(guest.memory().readLong(0x3000)).isEqualTo(99);
    assertThat(guest.out(0xE0, 4)).isFalse();
  }

  @Test
  void reservedBitsOfTheHypercallRegisterArePreserved() {
    guest.wrmsr(GUEST_OS_ID, LINUX);
    assertThat(guest.wrmsr(HYPERCALL, 0x3FFD)).isTrue();
    assertThat(guest.rdmsr(HYPERCALL)).isEqualTo(0x3FFD);
  }

  @Test
  void lockedHypercallRegisterIsImmutableUntilReset() {
    guest.wrmsr(GUEST_OS_ID, LINUX);
    assertThat(guest.wrmsr(HYPERCALL, 0x3003)).isTrue();
    assertThat(guest.wrmsr(HYPERCALL, 0x5001)).isFalse();
    assertThat(guest.rdmsr(HYPERCALL)).isEqualTo(0x3003);
    guest.enlightenment.reset();
    assertThat(guest.rdmsr(HYPERCALL)).isZero();
    assertThat(guest.memory().readInt(0x3000)).isZero();
  }

  @ParameterizedTest
  @ValueSource(longs = {0x40_0001, 0xFEE0_0001L, 0x1_0000_0001L, 0x8000_0000_0000_0001L, -1 & ~2L})
  void hypercallPageOutsideOfRamFaults(long value) {
    guest.wrmsr(GUEST_OS_ID, LINUX);
    guest.wrmsr(HYPERCALL, 0x3001);
    assertThat(guest.wrmsr(HYPERCALL, value)).isFalse();
    assertThat(guest.rdmsr(HYPERCALL)).isEqualTo(0x3001);
    assertThat(guest.memory().readByte(0x3000)).isEqualTo((byte) 0xF3);
  }

  @Test
  void unknownHypercallAnswersInvalidCodeInTheRegistersOfTheMode() {
    guest.wrmsr(GUEST_OS_ID, LINUX);
    guest.wrmsr(HYPERCALL, 0x3001);
    var processor = guest.processors.getFirst();
    Arrays.fill(processor.general, 0x1_0001_0050L);
    assertThat(guest.out(0xE0, 4)).isTrue();
    assertThat(processor.general[ProcessorState.RAX]).isEqualTo(2);
    for (int i = 1; i < 16; i++) {
      assertThat(processor.general[i]).as("register %d", i).isEqualTo(0x1_0001_0050L);
    }
    for (var mode : List.of(Mode.PROTECTED, Mode.COMPATIBILITY)) {
      Arrays.fill(processor.general, 0x1_0001_0050L);
      processor.mode = mode;
      assertThat(guest.out(0xE0, 4)).isTrue();
      assertThat(processor.general[ProcessorState.RAX]).isEqualTo(2);
      assertThat(processor.general[ProcessorState.RDX]).isZero();
    }
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void hypercallsAreForProtectedModeAtLevelZero(Mode mode) {
    guest.wrmsr(GUEST_OS_ID, LINUX);
    guest.wrmsr(HYPERCALL, 0x3001);
    var processor = guest.processors.getFirst();
    processor.mode = mode;
    for (int level = 0; level <= 3; level++) {
      processor.privilegeLevel = level;
      Arrays.fill(processor.general, 77);
      boolean legal = level == 0 && mode != Mode.REAL && mode != Mode.VIRTUAL_8086;
      assertThat(guest.out(0xE0, 4)).isEqualTo(legal);
      assertThat(processor.general[ProcessorState.RAX]).isEqualTo(legal ? 2 : 77);
    }
  }

  @Test
  void portIsNotTakenWithoutAHypercallPageOrInAnotherSize() {
    assertThat(guest.out(0xE0, 4)).isFalse();
    guest.wrmsr(GUEST_OS_ID, LINUX);
    guest.wrmsr(HYPERCALL, 0x3001);
    assertThat(guest.out(0xE0, 1)).isFalse();
    assertThat(guest.out(0xE0, 2)).isFalse();
    assertThat(guest.out(0x80, 4)).isFalse();
  }

  @Test
  void referenceTscPageIsAnOverlayToo() {
    guest.memory().writeLong(0x6008, 5);
    assertThat(guest.wrmsr(REFERENCE_TSC, 0x6001)).isTrue();
    assertThat(guest.rdmsr(REFERENCE_TSC)).isEqualTo(0x6001);
    assertThat(guest.memory().readInt(0x6000)).isNotZero();
    // (10^7 << 64) / 2.1 GHz, computed elsewhere.
    assertThat(guest.memory().readLong(0x6008)).isEqualTo(87_841_638_446_235_960L);
    assertThat(guest.wrmsr(REFERENCE_TSC, 0x6000)).isTrue();
    assertThat(guest.memory().readLong(0x6008)).isEqualTo(5);
    assertThat(guest.memory().readInt(0x6000)).isZero();
  }

  @Test
  void referenceTscPageOutsideOfRamIsJustNotThere() {
    guest.wrmsr(REFERENCE_TSC, 0x6001);
    assertThat(guest.wrmsr(REFERENCE_TSC, 0xFEE0_0FFFL)).isTrue();
    assertThat(guest.rdmsr(REFERENCE_TSC)).as("reserved bits too").isEqualTo(0xFEE0_0FFFL);
    assertThat(guest.memory().readInt(0x6000)).isZero();
  }

  @Test
  void overlaysAtOnePageLeaveTheRamBelowIntact() {
    guest.memory().writeLong(0x6000, 0xABCD);
    guest.wrmsr(GUEST_OS_ID, LINUX);
    guest.wrmsr(HYPERCALL, 0x6001);
    guest.wrmsr(REFERENCE_TSC, 0x6001);
    assertThat(guest.memory().readInt(0x6000)).as("sequence").isEqualTo(1);
    guest.wrmsr(REFERENCE_TSC, 0);
    assertThat(guest.memory().readByte(0x6000)).as("hypercall page").isEqualTo((byte) 0xF3);
    guest.wrmsr(REFERENCE_TSC, 0x6001);
    guest.wrmsr(HYPERCALL, 0);
    assertThat(guest.memory().readInt(0x6000)).as("sequence").isEqualTo(1);
    guest.wrmsr(REFERENCE_TSC, 0);
    assertThat(guest.memory().readLong(0x6000)).isEqualTo(0xABCD);
  }

  @Test
  void assistPageIsEachProcessorsOwnAndClaimsNoAssist() {
    guest.memory().writeLong(0x9000, -1);
    assertThat(guest.wrmsr(1, VP_ASSIST_PAGE, 0x9001)).isTrue();
    assertThat(guest.rdmsr(1, VP_ASSIST_PAGE)).hasValue(0x9001);
    assertThat(guest.rdmsr(0, VP_ASSIST_PAGE)).hasValue(0);
    assertThat(guest.memory().readInt(0x9000)).isZero();
    assertThat(guest.memory().readInt(0x9004)).as("the rest is the guest's").isEqualTo(-1);
    assertThat(guest.wrmsr(1, VP_ASSIST_PAGE, 0x7FFF_FFFF_F001L)).isFalse();
    assertThat(guest.wrmsr(1, VP_ASSIST_PAGE, 0)).isTrue();
  }

  @Test
  void invariantTscControlHasOneBit() {
    assertThat(guest.rdmsr(TSC_INVARIANT_CONTROL)).isZero();
    assertThat(guest.wrmsr(TSC_INVARIANT_CONTROL, 1)).isTrue();
    assertThat(guest.rdmsr(TSC_INVARIANT_CONTROL)).isEqualTo(1);
    assertThat(guest.wrmsr(TSC_INVARIANT_CONTROL, 2)).isFalse();
    assertThat(guest.wrmsr(TSC_INVARIANT_CONTROL, 1L << 63)).isFalse();
  }

  @Test
  void crashIsReportedWithItsParameters() {
    assertThat(guest.rdmsr(CRASH_CTL)).isEqualTo(0xC000_0000_0000_0000L);
    guest.wrmsr(GUEST_OS_ID, LINUX);
    for (int i = 0; i < 5; i++) {
      assertThat(guest.wrmsr(CRASH_P0 + i, 10 + i)).isTrue();
      assertThat(guest.rdmsr(CRASH_P0 + i)).isEqualTo(10 + i);
    }
    assertThat(guest.wrmsr(1, CRASH_CTL, 1L << 63)).isTrue();
    assertThat(guest.crashes).containsExactly(new GuestCrash(1, LINUX, 10, 11, 12, 13, 14, ""));
  }

  @Test
  void crashMessageIsTakenFromMemory() {
    var text = "Kernel panic - not syncing: VFS\n\u001B[31mred\u0000 \t£";
    var bytes = text.getBytes(StandardCharsets.UTF_8);
    guest.memory().write(0x7FF0, bytes);
    guest.wrmsr(CRASH_P0 + 3, 0x7FF0);
    guest.wrmsr(CRASH_P0 + 4, bytes.length);
    guest.wrmsr(CRASH_CTL, 3L << 62);
    assertThat(guest.crashes).hasSize(1);
    assertThat(guest.crashes.getFirst().message())
        .isEqualTo("Kernel panic - not syncing: VFS\n.[31mred. \t£");
  }

  @Test
  void crashMessageIsBoundedAndMayLieOnlyInRam() {
    guest.wrmsr(CRASH_P0 + 3, 0x1000);
    guest.wrmsr(CRASH_P0 + 4, -1);
    guest.wrmsr(CRASH_CTL, 3L << 62);
    assertThat(guest.crashes.getLast().message()).hasSize(4096);
    for (long address : new long[] {-1, Long.MIN_VALUE, (4 << 20) - 1, 0xFEE0_0000L}) {
      guest.wrmsr(CRASH_P0 + 3, address);
      guest.wrmsr(CRASH_P0 + 4, 4096);
      guest.wrmsr(CRASH_CTL, 3L << 62);
      assertThat(guest.crashes.getLast().message()).isEmpty();
    }
  }

  @Test
  void messageWithoutNotificationReportsNothing() {
    assertThat(guest.wrmsr(CRASH_CTL, 1L << 62)).isTrue();
    assertThat(guest.wrmsr(CRASH_CTL, 0)).isTrue();
    assertThat(guest.crashes).isEmpty();
  }

  @Test
  void guestThatWithdrawsAfterItsReportGoesOn() {
    guest.wrmsr(GUEST_OS_ID, 0);
    assertThat(guest.wentOn).as("it has not crashed").isZero();
    guest.wrmsr(GUEST_OS_ID, LINUX);
    guest.wrmsr(0x4000_0105, 1L << 63);
    assertThat(guest.wentOn).isZero();
    guest.wrmsr(GUEST_OS_ID, 0);
    guest.wrmsr(GUEST_OS_ID, 0);
    assertThat(guest.wentOn).isEqualTo(1);
  }

  @Test
  void guestCannotFloodWithCrashReports() {
    for (int i = 0; i < 10_000; i++) {
      assertThat(guest.wrmsr(CRASH_CTL, 1L << 63)).isTrue();
    }
    assertThat(guest.crashes.size()).isBetween(1, 100);
    int before = guest.crashes.size();
    guest.enlightenment.reset();
    guest.wrmsr(CRASH_CTL, 1L << 63);
    assertThat(guest.crashes).as("after a reset it is heard again").hasSize(before + 1);
  }

  @Test
  void stateGoesFromOnePartitionToAnother() {
    guest.memory().writeLong(0x3000, 0xAAAA);
    guest.memory().writeLong(0x6000, 0xBBBB);
    guest.wrmsr(GUEST_OS_ID, LINUX);
    guest.wrmsr(HYPERCALL, 0x3003);
    guest.wrmsr(REFERENCE_TSC, 0x6001);
    guest.wrmsr(TSC_INVARIANT_CONTROL, 1);
    guest.wrmsr(0, VP_ASSIST_PAGE, 0x9001);
    guest.wrmsr(1, VP_ASSIST_PAGE, 0xA001);
    for (int i = 0; i < 5; i++) {
      guest.wrmsr(CRASH_P0 + i, 100 + i);
    }
    guest.wrmsr(CRASH_CTL, 1L << 63);
    guest.time.advance(50_000_000);
    var state = guest.enlightenment.state();

    try (var other = new Guest(2, TSC_FREQUENCY)) {
      other.memory().write(0, guest.memory().read(0, (int) guest.memory().size()));
      other.enlightenment.restore(state);
      for (int index :
          new int[] {
            GUEST_OS_ID,
            HYPERCALL,
            REFERENCE_TSC,
            TSC_INVARIANT_CONTROL,
            0x4000_0020,
            CRASH_P0,
            CRASH_P0 + 4
          }) {
        assertThat(other.rdmsr(index)).as("0x%x", index).isEqualTo(guest.rdmsr(index));
      }
      assertThat(other.rdmsr(0, VP_ASSIST_PAGE)).hasValue(0x9001);
      assertThat(other.rdmsr(1, VP_ASSIST_PAGE)).hasValue(0xA001);
      assertThat(other.wrmsr(HYPERCALL, 0)).as("still locked").isFalse();
      assertThat(other.out(0xE0, 4)).isTrue();

      var again = other.enlightenment.state();
      assertThat(again).usingRecursiveComparison().ignoringFields("tscSequence").isEqualTo(state);
      assertThat(again.tscSequence()).isEqualTo(state.tscSequence() + 1);

      other.enlightenment.reset();
      assertThat(other.memory().readLong(0x3000)).isEqualTo(0xAAAA);
      assertThat(other.memory().readLong(0x6000)).isEqualTo(0xBBBB);
    }
  }

  @Test
  void impossibleStateIsRefused() {
    var state = guest.enlightenment.state();
    try (var single = new Guest(1, TSC_FREQUENCY)) {
      assertThatThrownBy(() -> single.enlightenment.restore(state))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("2 processors");
    }
    var outside =
        new EnlightenmentState(
            0,
            0,
            0,
            0,
            1,
            0,
            state.crashParameters(),
            0,
            List.of(),
            List.of(new EnlightenmentState.Page(1L << 40, new byte[4096])),
            state.processors());
    assertThatThrownBy(() -> guest.enlightenment.restore(outside))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void nothingAGuestWritesThrowsOrDamagesOtherMemory() {
    var random = new Random(7);
    var image = new byte[(int) guest.memory().size()];
    random.nextBytes(image);
    guest.memory().write(0, image);
    long[] places = {0x3000, 0x6000, 0x3FF000, 0x400000, 0xC000_0000L, 1L << 52, -4096};
    for (int i = 0; i < 200_000; i++) {
      int index = 0x4000_0000 + random.nextInt(0x120);
      if (random.nextInt(3) != 0) {
        index = random.nextBoolean() ? HYPERCALL : REFERENCE_TSC;
      } else if (index == VP_ASSIST_PAGE || index == 0x4000_0082 || index == 0x4000_0083) {
        continue; // they do write into the guest's pages
      }
      long value = places[random.nextInt(places.length)];
      value =
          switch (random.nextInt(4)) {
            case 0 -> random.nextLong();
            case 1 -> value;
            default -> value | 1;
          };
      // A lock would end the game.
      value = index == HYPERCALL ? value & ~2L : value;
      guest.wrmsr(random.nextInt(2), index, value);
      guest.rdmsr(random.nextInt(2), index);
      guest.out(0xE0 + random.nextInt(2), 1 << random.nextInt(3));
    }
    guest.enlightenment.reset();
    assertThat(guest.memory().read(0, image.length)).isEqualTo(image);
  }

  @Test
  void writesAreNotedAsDirty() {
    guest.memory().setTracking(true);
    guest.wrmsr(REFERENCE_TSC, 0x6001);
    assertThat(guest.memory().takeDirty()[0]).isEqualTo(1L << (0x6000 / GuestMemory.PAGE_SIZE));
  }
}
