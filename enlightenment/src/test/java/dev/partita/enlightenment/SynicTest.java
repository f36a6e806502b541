package dev.partita.enlightenment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.enlightenment.Guest.Interrupt;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class SynicTest {
  private static final int SCONTROL = 0x4000_0080;
  private static final int SIEFP = 0x4000_0082;
  private static final int SIMP = 0x4000_0083;
  private static final int EOM = 0x4000_0084;
  private static final int SINT0 = 0x4000_0090;
  private static final int SINT2 = SINT0 + 2;
  private static final long MASKED = 1 << 16;
  private static final long MESSAGES = 0x5000;
  private static final long FLAGS = 0x6000;
  private static final long SLOT = MESSAGES + 2 * 256;

  private final Guest guest = new Guest(2, 1_000_000_000);
  private final Synic synic = guest.enlightenment.synic();

  @AfterEach
  void close() {
    guest.close();
  }

  /// As Linux does on each processor.
  private void enable(int processor) {
    assertThat(guest.wrmsr(processor, SIMP, MESSAGES + processor * 0x2000L | 1)).isTrue();
    assertThat(guest.wrmsr(processor, SIEFP, FLAGS + processor * 0x2000L | 1)).isTrue();
    assertThat(guest.wrmsr(processor, SINT2, 0xF3)).isTrue();
    assertThat(guest.wrmsr(processor, SCONTROL, 1)).isTrue();
  }

  private static byte[] payload(int first) {
    return new byte[] {(byte) first, 2, 3};
  }

  private void assertSlotHolds(int first, boolean more) {
    assertThat(guest.memory().readInt(SLOT)).isEqualTo(1);
    assertThat(guest.memory().readByte(SLOT + 4)).isEqualTo((byte) 3);
    assertThat(guest.memory().readByte(SLOT + 5)).isEqualTo((byte) (more ? 1 : 0));
    assertThat(guest.memory().readLong(SLOT + 8)).isEqualTo(77);
    assertThat(guest.memory().read(SLOT + 16, 3)).isEqualTo(payload(first));
  }

  @Test
  void registersAreAsAfterPowerUp() {
    assertThat(guest.rdmsr(SCONTROL)).isZero();
    assertThat(guest.rdmsr(0x4000_0081)).isEqualTo(1);
    assertThat(guest.rdmsr(SIEFP)).isZero();
    assertThat(guest.rdmsr(SIMP)).isZero();
    assertThat(guest.rdmsr(EOM)).isZero();
    for (int i = 0; i < 16; i++) {
      assertThat(guest.rdmsr(SINT0 + i)).isEqualTo(MASKED);
    }
    assertThat(guest.wrmsr(0x4000_0081, 1)).as("version is read-only").isFalse();
  }

  @Test
  void unmaskedSourceNeedsALegalVector() {
    assertThat(guest.wrmsr(SINT2, 15)).isFalse();
    assertThat(guest.wrmsr(SINT2, MASKED | 15)).isTrue();
    assertThat(guest.wrmsr(SINT2, 16)).isTrue();
    assertThat(guest.rdmsr(SINT2)).isEqualTo(16);
    assertThat(guest.rdmsr(1, SINT2)).as("each processor has its own").hasValue(MASKED);
  }

  @Test
  void polledSourceGetsItsMessagesWithoutInterrupt() {
    enable(0);
    long polling = 1 << 18;
    assertThat(guest.wrmsr(SINT2, MASKED)).isTrue();
    synic.post(0, 2, 1, 77, payload(1));
    assertThat(guest.memory().readInt(SLOT)).as("masked").isZero();
    assertThat(guest.wrmsr(SINT2, MASKED | polling)).isTrue();
    assertSlotHolds(1, false);
    synic.signalEvent(0, 2, 9);
    assertThat(guest.takeInterrupts()).isEmpty();
    guest.memory().writeInt(SLOT, 0);
    assertThat(guest.wrmsr(SINT2, polling)).as("no vector is needed").isTrue();
    synic.post(0, 2, 1, 77, payload(2));
    assertSlotHolds(2, false);
    assertThat(guest.takeInterrupts()).isEmpty();
    assertThat(guest.wrmsr(SINT2, 0xF3)).isTrue();
    assertThat(guest.takeInterrupts()).as("of the flag").containsExactly(Interrupt.of(0, 0xF3));
    assertThat(guest.enlightenment.counters())
        .containsEntry("synic.messages", 2L)
        .containsEntry("synic.signals", 1L)
        .containsEntry("synic.interrupts", 1L);
  }

  @Test
  void pagesAreZeroedWhenTheyAreSwitchedOnOrMoved() {
    for (int register : new int[] {SIMP, SIEFP}) {
      guest.memory().writeLong(0x5FF8, 5);
      guest.memory().writeLong(0x7000, 7);
      assertThat(guest.wrmsr(register, 0x5000)).isTrue();
      assertThat(guest.memory().readLong(0x5FF8)).isEqualTo(5);
      assertThat(guest.wrmsr(register, 0x5001)).isTrue();
      assertThat(guest.memory().readLong(0x5FF8)).isZero();
      guest.memory().writeLong(0x5FF8, 6);
      assertThat(guest.wrmsr(register, 0x5001)).isTrue();
      assertThat(guest.memory().readLong(0x5FF8)).as("on already").isEqualTo(6);
      assertThat(guest.wrmsr(register, 0x7001)).isTrue();
      assertThat(guest.memory().readLong(0x7000)).isZero();
      assertThat(guest.rdmsr(register)).isEqualTo(0x7001);
      assertThat(guest.wrmsr(register, 0x4000_0000_0001L)).as("outside of RAM").isFalse();
      assertThat(guest.rdmsr(register)).isEqualTo(0x7001);
    }
  }

  @Test
  void messageReachesItsSlotAndInterrupts() {
    enable(0);
    assertThat(synic.post(0, 2, 1, 77, payload(9))).isTrue();
    assertSlotHolds(9, false);
    assertThat(guest.takeInterrupts()).containsExactly(Interrupt.of(0, 0xF3));
    assertThat(synic.waiting(0, 2)).isZero();
  }

  @Test
  void messagesWaitForTheGuestToEmptyTheSlot() {
    enable(0);
    for (int i = 1; i <= 3; i++) {
      synic.post(0, 2, 1, 77, payload(i));
    }
    assertSlotHolds(1, true);
    assertThat(guest.takeInterrupts()).hasSize(1);
    assertThat(guest.wrmsr(EOM, 0)).as("slot is still full").isTrue();
    assertSlotHolds(1, true);

    guest.memory().writeInt(SLOT, 0);
    assertThat(guest.wrmsr(EOM, 0)).isTrue();
    assertSlotHolds(2, true);
    guest.memory().writeInt(SLOT, 0);
    guest.wrmsr(EOM, 0);
    assertSlotHolds(3, false);
    assertThat(guest.takeInterrupts()).hasSize(2);
  }

  @Test
  void slotFoundEmptyNeedsNoEndOfMessage() {
    enable(0);
    synic.post(0, 2, 1, 77, payload(1));
    guest.memory().writeInt(SLOT, 0);
    synic.post(0, 2, 1, 77, payload(2));
    assertSlotHolds(2, false);
  }

  @Test
  void messagesWaitUntilTheControllerIsOn() {
    synic.post(0, 2, 1, 77, payload(1));
    guest.wrmsr(SIMP, MESSAGES | 1);
    guest.wrmsr(SCONTROL, 1);
    assertThat(guest.memory().readInt(SLOT)).as("source is masked").isZero();
    guest.wrmsr(SINT2, 0xF3);
    assertSlotHolds(1, false);
    assertThat(guest.takeInterrupts()).containsExactly(Interrupt.of(0, 0xF3));
  }

  @Test
  void waitingMessagesAreBounded() {
    for (int i = 0; i < Synic.MOST_WAITING; i++) {
      assertThat(synic.post(1, i % 16, 1, 77, payload(i))).isTrue();
    }
    assertThat(synic.post(1, 2, 1, 77, payload(0))).isFalse();
    synic.discard(1, 2);
    assertThat(synic.waiting(1, 2)).isZero();
    assertThat(synic.post(1, 2, 1, 77, payload(0))).isTrue();
  }

  @Test
  void eventFlagInterruptsWhenItBecomesSet() {
    enable(1);
    synic.signalEvent(1, 2, 33);
    long word = FLAGS + 0x2000 + 2 * 256 + 4;
    assertThat(guest.memory().readInt(word)).isEqualTo(2);
    assertThat(guest.takeInterrupts()).containsExactly(Interrupt.of(1, 0xF3));
    synic.signalEvent(1, 2, 33);
    assertThat(guest.takeInterrupts()).isEmpty();
    synic.signalEvent(1, 2, 34);
    assertThat(guest.memory().readInt(word)).isEqualTo(6);
    guest.memory().writeInt(word, 0);
    synic.signalEvent(1, 2, 2047);
    assertThat(guest.memory().readByte(FLAGS + 0x2000 + 3 * 256 - 1)).isEqualTo((byte) 0x80);
    assertThat(guest.takeInterrupts()).hasSize(2);
    assertThatThrownBy(() -> synic.signalEvent(1, 2, 2048))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void flagsSetWhileMaskedInterruptWhenUnmasked() {
    enable(0);
    guest.wrmsr(SINT2, MASKED | 0xF3);
    synic.signalEvent(0, 2, 5);
    assertThat(guest.takeInterrupts()).isEmpty();
    guest.wrmsr(SINT2, 0xF3);
    assertThat(guest.takeInterrupts()).containsExactly(Interrupt.of(0, 0xF3));
  }

  @Test
  void nothingIsSignalledWhileThePageIsOff() {
    guest.wrmsr(SIEFP, FLAGS);
    guest.wrmsr(SINT2, 0xF3);
    guest.wrmsr(SCONTROL, 1);
    synic.signalEvent(0, 2, 5);
    assertThat(guest.takeInterrupts()).isEmpty();
    assertThat(guest.memory().read(FLAGS, 4096)).containsOnly(0);
  }

  // --- hypercalls ---

  private static final long POST = 0x5C;
  private static final long SIGNAL = 0x5D;
  private static final long FAST = 1 << 16;
  private static final long BLOCK = 0x8000;

  private record Posted(int type, List<Byte> payload) {}

  private List<Posted> connect(int id, MessagePort.Answer answer) {
    guest.wrmsr(0x4000_0000, 0x8100_0601_0000_0000L);
    guest.wrmsr(0x4000_0001, 0x3001);
    var posted = new ArrayList<Posted>();
    synic.connect(
        id,
        (int type, byte[] payload) -> {
          var bytes = new ArrayList<Byte>();
          for (byte b : payload) {
            bytes.add(b);
          }
          posted.add(new Posted(type, bytes));
          return answer;
        });
    return posted;
  }

  private long post(long block, int connection, int type, int size) {
    guest.memory().writeInt(block, connection);
    guest.memory().writeInt(block + 8, type);
    guest.memory().writeInt(block + 12, size);
    return guest.hypercall(POST, block);
  }

  @Test
  void postedMessageReachesItsPort() {
    var posted = connect(4, MessagePort.Answer.ACCEPTED);
    guest.memory().write(BLOCK + 16, new byte[] {5, 6, 7});
    assertThat(post(BLOCK, 4, 1, 2)).isZero();
    assertThat(posted).containsExactly(new Posted(1, List.of((byte) 5, (byte) 6)));
    assertThat(post(BLOCK, 4, 1, 240)).isZero();
    assertThat(posted.getLast().payload).hasSize(240);
    assertThat(post(BLOCK, 4, 9, 0)).isZero();
  }

  @Test
  void busyPortAnswersInsufficientBuffers() {
    connect(4, MessagePort.Answer.INSUFFICIENT_BUFFERS);
    assertThat(post(BLOCK, 4, 1, 2)).isEqualTo(0x13);
  }

  @Test
  void badPostsAreRefused() {
    var posted = connect(4, MessagePort.Answer.ACCEPTED);
    assertThat(post(BLOCK, 5, 1, 2)).as("connection").isEqualTo(0x12);
    assertThat(post(BLOCK, 4, 1, 241)).as("size").isEqualTo(5);
    assertThat(post(BLOCK, 4, 1, -1)).as("size").isEqualTo(5);
    assertThat(post(BLOCK, 4, 0, 1)).as("type none").isEqualTo(5);
    assertThat(post(BLOCK, 4, 0x8000_0010, 1)).as("hypervisor's type").isEqualTo(5);
    assertThat(post(BLOCK + 4, 4, 1, 2)).as("alignment").isEqualTo(4);
    assertThat(post(BLOCK + 0xF08, 4, 1, 2)).as("two pages").isEqualTo(4);
    assertThat(guest.hypercall(POST, 1L << 40)).as("not RAM").isEqualTo(4);
    assertThat(guest.hypercall(POST, -8)).as("not RAM").isEqualTo(4);
    assertThat(guest.hypercall(POST | FAST, BLOCK)).as("fast").isEqualTo(3);
    assertThat(guest.hypercall(POST | 1L << 32, BLOCK)).as("repetitions").isEqualTo(3);
    assertThat(guest.hypercall(POST | 1L << 17, BLOCK)).as("variable header").isEqualTo(3);
    assertThat(posted).isEmpty();
  }

  @Test
  void signalsReachTheirPort() {
    connect(4, MessagePort.Answer.ACCEPTED);
    var flags = new ArrayList<Integer>();
    synic.connect(0x2001, (EventPort) flags::add);
    assertThat(guest.hypercall(SIGNAL | FAST, 0x3_0000_2001L)).isZero();
    guest.memory().writeLong(BLOCK, 0x4_0000_2001L);
    assertThat(guest.hypercall(SIGNAL, BLOCK)).isZero();
    var general = guest.processors.getFirst().general;
    general[2] = 0x5_0000_2001L;
    assertThat(guest.out(0xE1, 4)).isTrue();
    assertThat(flags).containsExactly(3, 4, 5);
    assertThat(guest.hypercall(SIGNAL | FAST, 0x2002)).isEqualTo(0x12);
    assertThat(guest.hypercall(SIGNAL, BLOCK + 1)).isEqualTo(4);
    synic.disconnectEvents(0x2001);
    assertThat(guest.hypercall(SIGNAL | FAST, 0x2001)).isEqualTo(0x12);
  }

  @Test
  void doorbellsRingForEverySignalOnAnEngineThatHasNone() {
    connect(4, MessagePort.Answer.ACCEPTED);
    var rings = new AtomicInteger();
    synic.connectDoorbell(0x2001, rings::incrementAndGet);
    assertThat(guest.hypercall(SIGNAL | FAST, 0x3_0000_2001L)).isZero();
    guest.memory().writeLong(BLOCK, 0x2001);
    assertThat(guest.hypercall(SIGNAL, BLOCK)).isZero();
    guest.processors.getFirst().general[2] = 0x2001;
    assertThat(guest.out(0xE1, 4)).isTrue();
    assertThat(rings.get()).isEqualTo(3);
    assertThatThrownBy(() -> synic.connectDoorbell(0x2001, () -> {}))
        .isInstanceOf(IllegalStateException.class);
    synic.disconnectEvents(0x2001);
    assertThat(guest.hypercall(SIGNAL | FAST, 0x2001)).isEqualTo(0x12);
    synic.connectDoorbell(0x2001, rings::incrementAndGet);
  }

  @Test
  void anIdHasOnePort() {
    connect(4, MessagePort.Answer.ACCEPTED);
    assertThatThrownBy(() -> connect(4, MessagePort.Answer.ACCEPTED))
        .isInstanceOf(IllegalStateException.class);
    synic.disconnectMessages(4);
    connect(4, MessagePort.Answer.ACCEPTED);
  }

  // --- state ---

  @Test
  void conversationGoesOnInAnotherPartition() {
    enable(0);
    enable(1);
    for (int i = 1; i <= 3; i++) {
      synic.post(0, 2, 1, 77, payload(i));
    }
    var state = guest.enlightenment.state();
    try (var other = new Guest(2, 1_000_000_000)) {
      other.memory().write(0, guest.memory().read(0, (int) guest.memory().size()));
      other.enlightenment.restore(state);
      assertThat(other.enlightenment.state())
          .usingRecursiveComparison()
          .ignoringFields("tscSequence")
          .isEqualTo(state);
      other.memory().writeInt(SLOT, 0);
      other.wrmsr(EOM, 0);
      assertThat(other.memory().readByte(SLOT + 16)).isEqualTo((byte) 2);
      assertThat(other.takeInterrupts()).containsExactly(Interrupt.of(0, 0xF3));
      other.enlightenment.synic().signalEvent(1, 2, 1);
      assertThat(other.takeInterrupts()).containsExactly(Interrupt.of(1, 0xF3));

      other.enlightenment.reset();
      assertThat(other.enlightenment.synic().waiting(0, 2)).isZero();
      assertThat(other.rdmsr(1, SINT2)).hasValue(MASKED);
    }
  }

  @Test
  void savedPageOutsideOfRamIsRefused() {
    var state = guest.enlightenment.state().processors().getFirst().synic();
    var outside = new SynicState(1, 0, 1L << 40 | 1, state.sources(), List.of(), state.timers());
    assertThatThrownBy(() -> synic.processor(0).restore(outside))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("not RAM");
  }

  @Test
  void nothingAGuestDoesThrowsOrGrows() {
    connect(4, MessagePort.Answer.ACCEPTED);
    var random = new Random(11);
    long[] places = {0x5000, 0x6000, 0x3FF000, 0x400000, 0xC000_0000L, 1L << 52, -4096};
    for (int i = 0; i < 100_000; i++) {
      int processor = random.nextInt(2);
      int register = SCONTROL + random.nextInt(0x38);
      long value =
          switch (random.nextInt(4)) {
            case 0 -> random.nextLong();
            case 1 -> random.nextInt(0x20000);
            default -> places[random.nextInt(places.length)] | 1;
          };
      guest.wrmsr(processor, register, value);
      guest.rdmsr(processor, register);
      synic.post(processor, random.nextInt(16), 1, 0, payload(i));
      synic.signalEvent(processor, random.nextInt(16), random.nextInt(2048));
      guest.memory().writeInt(0x5000 + random.nextInt(16) * 256, 0);
      guest.hypercall(
          random.nextInt(4) == 0 ? random.nextLong() : POST + random.nextInt(2),
          random.nextBoolean() ? BLOCK : random.nextLong());
      guest.time.advance(random.nextInt(100_000));
      guest.takeInterrupts();
    }
    int waiting = 0;
    for (int source = 0; source < 16; source++) {
      waiting += synic.waiting(0, source);
    }
    // A timer's message may come on top, once a timer.
    assertThat(waiting).isLessThanOrEqualTo(Synic.MOST_WAITING + 4);
    guest.enlightenment.reset();
    assertThat(Arrays.stream(new int[] {0, 1}).map(p -> synic.waiting(p, 2)).sum()).isZero();
  }
}
