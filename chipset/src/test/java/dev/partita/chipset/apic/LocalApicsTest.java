package dev.partita.chipset.apic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.chipset.TestPartition;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.LocalApic;
import dev.partita.hypervisor.LocalApicState;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class LocalApicsTest {
  private static final int SVR = 0xF0;
  private static final int LVT_TIMER = 0x320;
  private static final int LVT_LINT0 = 0x350;
  private static final int LVT_LINT1 = 0x360;
  private static final int LVT_ERROR = 0x370;
  private static final int ICR_LOW = 0x300;
  private static final int ICR_HIGH = 0x310;
  private static final int ESR = 0x280;
  private static final int EOI = 0xB0;
  private static final int TPR = 0x80;
  private static final int LDR = 0xD0;
  private static final int DFR = 0xE0;
  private static final int INITIAL = 0x380;
  private static final int CURRENT = 0x390;
  private static final int DIVIDE = 0x3E0;

  private static final long XAPIC = 0xFEE0_0800L;
  private static final long X2APIC = 0xFEE0_0C00L;
  private static final long BSP = 0x100;

  private final TestPartition partition = new TestPartition(4);
  private final LocalApic apic = partition.apics.get(0);

  @AfterEach
  void close() {
    partition.close();
  }

  private void enableAll() {
    partition.apics.forEach(a -> a.writeMmio(SVR, 0x1FF));
  }

  private static long msr(LocalApic apic, int index) {
    var read = new Intercept.MsrRead().prepare(index);
    assertThat(apic.readMsr(index, read)).isTrue();
    return read.value;
  }

  private static boolean readFaults(LocalApic apic, int index) {
    return !apic.readMsr(index, new Intercept.MsrRead().prepare(index));
  }

  private static void ipi(LocalApic from, int destination, int low) {
    from.writeMmio(ICR_HIGH, destination << 24);
    from.writeMmio(ICR_LOW, low);
  }

  private static void toX2apic(LocalApic apic, boolean boot) {
    assertThat(apic.setApicBase(X2APIC | (boot ? BSP : 0))).isTrue();
  }

  // --- modes ---

  @Test
  void powerUpStateIsTheManuals() {
    assertThat(apic.apicBase()).isEqualTo(XAPIC | BSP);
    assertThat(partition.apics.get(1).apicBase()).isEqualTo(XAPIC);
    assertThat(apic.readMmio(0x20)).isZero();
    assertThat(partition.apics.get(3).readMmio(0x20)).isEqualTo(3 << 24);
    assertThat(apic.readMmio(0x30) & 0xFF).isEqualTo(0x14);
    assertThat(apic.readMmio(0x30) >> 16 & 0xFF).isEqualTo(5);
    assertThat(apic.readMmio(SVR)).isEqualTo(0xFF);
    assertThat(apic.readMmio(DFR)).isEqualTo(-1);
    for (int lvt = LVT_TIMER; lvt <= LVT_ERROR; lvt += 0x10) {
      assertThat(apic.readMmio(lvt)).isEqualTo(0x10000);
    }
    assertThat(apic.interruptPending()).isFalse();
    assertThat(apic.acknowledge()).isEqualTo(-1);
  }

  @Test
  void onlyTheManualsModeTransitionsAreAllowed() {
    assertThat(apic.setApicBase(0xFEE0_0400L)).as("EXTD without EN").isFalse();
    assertThat(apic.setApicBase(XAPIC | 1)).as("reserved bit").isFalse();
    assertThat(apic.setApicBase(XAPIC | 1L << 39)).as("over the physical address").isFalse();
    assertThat(apic.setApicBase(XAPIC | 1L << 38)).isTrue();
    toX2apic(apic, true);
    assertThat(apic.setApicBase(XAPIC)).as("x2APIC to xAPIC").isFalse();
    assertThat(apic.setApicBase(0xFEE0_0000L)).as("x2APIC to disabled").isTrue();
    assertThat(apic.setApicBase(X2APIC)).as("disabled to x2APIC").isFalse();
    assertThat(apic.setApicBase(XAPIC)).as("disabled to xAPIC").isTrue();
    assertThat(apic.apicBase()).as("BSP flag stays").isEqualTo(XAPIC | BSP);
  }

  @Test
  void disablingForgetsTheState() {
    enableAll();
    apic.writeMmio(TPR, 0x50);
    apic.setApicBase(0xFEE0_0000L);
    apic.setApicBase(XAPIC);
    assertThat(apic.readMmio(SVR)).isEqualTo(0xFF);
    assertThat(apic.readMmio(TPR)).isZero();
  }

  @Test
  void x2apicRegistersAnswerOnlyInTheirMode() {
    assertThat(readFaults(apic, 0x802)).isTrue();
    assertThat(apic.writeMsr(0x808, 0)).isFalse();
    toX2apic(apic, true);
    assertThat(msr(apic, 0x802)).isZero();
    assertThat(msr(apic, 0x80D)).isEqualTo(1);
    toX2apic(partition.apics.get(3), false);
    assertThat(msr(partition.apics.get(3), 0x80D)).isEqualTo(8);
  }

  @Test
  void x2apicAccessRules() {
    toX2apic(apic, true);
    for (int missing : new int[] {0x800, 0x809, 0x80C, 0x80E, 0x82F, 0x831, 0x8FF}) {
      assertThat(readFaults(apic, missing)).as("read 0x%x", missing).isTrue();
      assertThat(apic.writeMsr(missing, 0)).as("write 0x%x", missing).isFalse();
    }
    for (int readOnly : new int[] {0x802, 0x803, 0x80A, 0x80D, 0x810, 0x820, 0x827, 0x839}) {
      assertThat(readFaults(apic, readOnly)).isFalse();
      assertThat(apic.writeMsr(readOnly, 0)).as("write 0x%x", readOnly).isFalse();
    }
    for (int writeOnly : new int[] {0x80B, 0x83F}) {
      assertThat(readFaults(apic, writeOnly)).as("read 0x%x", writeOnly).isTrue();
    }
    assertThat(apic.writeMsr(0x80B, 1)).as("EOI not 0").isFalse();
    assertThat(apic.writeMsr(0x80B, 0)).isTrue();
    assertThat(apic.writeMsr(0x828, 1)).as("ESR not 0").isFalse();
    assertThat(apic.writeMsr(0x808, 0x100)).as("TPR reserved").isFalse();
    assertThat(apic.writeMsr(0x808, 1L << 32)).as("upper half").isFalse();
    assertThat(apic.writeMsr(0x832, 1 << 19)).as("LVT reserved").isFalse();
    assertThat(apic.writeMsr(0x830, 1 << 13)).as("ICR reserved").isFalse();
    assertThat(apic.writeMsr(0x83F, 0x100)).as("self IPI reserved").isFalse();
  }

  @Test
  void unknownMemoryMappedRegistersSetTheIllegalRegisterError() {
    assertThat(apic.readMmio(0x2F0)).isZero();
    assertThat(apic.readMmio(ESR)).as("not latched yet").isZero();
    apic.writeMmio(ESR, 0);
    assertThat(apic.readMmio(ESR)).isEqualTo(0x80);
    apic.writeMmio(ESR, 0);
    assertThat(apic.readMmio(ESR)).isZero();
  }

  // --- priorities ---

  @Test
  void theHighestVectorComesFirstAndNestsByClass() {
    enableAll();
    ipi(apic, 0, 0x31);
    ipi(apic, 0, 0x52);
    assertThat(apic.interruptPending()).isTrue();
    assertThat(apic.acknowledge()).isEqualTo(0x52);
    assertThat(apic.readMmio(0xA0)).as("PPR").isEqualTo(0x50);
    assertThat(apic.interruptPending()).isFalse();
    ipi(apic, 0, 0x5F);
    assertThat(apic.interruptPending()).as("same class waits").isFalse();
    ipi(apic, 0, 0x60);
    assertThat(apic.acknowledge()).isEqualTo(0x60);
    apic.writeMmio(EOI, 0);
    assertThat(apic.interruptPending()).isFalse();
    apic.writeMmio(EOI, 0);
    assertThat(apic.acknowledge()).isEqualTo(0x5F);
    apic.writeMmio(EOI, 0);
    assertThat(apic.acknowledge()).isEqualTo(0x31);
  }

  @Test
  void taskPriorityHoldsBackItsClassAndBelow() {
    enableAll();
    apic.setTaskPriority(5);
    assertThat(apic.readMmio(TPR)).isEqualTo(0x50);
    ipi(apic, 0, 0x51);
    assertThat(apic.interruptPending()).isFalse();
    int wakes = partition.cpus.get(0).wakes;
    apic.setTaskPriority(4);
    assertThat(apic.interruptPending()).isTrue();
    assertThat(partition.cpus.get(0).wakes).isEqualTo(wakes + 1);
    apic.writeMmio(TPR, 0xF3);
    assertThat(apic.taskPriority()).isEqualTo(15);
    assertThat(apic.readMmio(0xA0)).isEqualTo(0xF3);
    assertThat(apic.acknowledge()).isEqualTo(-1);
  }

  @Test
  void requestAndServiceRegistersShowVectors() {
    enableAll();
    ipi(apic, 0, 0x45);
    assertThat(apic.readMmio(0x200 + 0x20)).isEqualTo(1 << 5);
    apic.acknowledge();
    assertThat(apic.readMmio(0x200 + 0x20)).isZero();
    assertThat(apic.readMmio(0x100 + 0x20)).isEqualTo(1 << 5);
  }

  @Test
  void aSoftwareDisabledApicTakesNoFixedInterruptsAndMasksItsTable() {
    apic.writeMmio(LVT_TIMER, 0x30);
    assertThat(apic.readMmio(LVT_TIMER)).as("mask cannot be cleared").isEqualTo(0x10030);
    ipi(apic, 0, 0x40);
    assertThat(apic.interruptPending()).isFalse();
    apic.writeMmio(SVR, 0x1FF);
    apic.writeMmio(LVT_TIMER, 0x30);
    assertThat(apic.readMmio(LVT_TIMER)).isEqualTo(0x30);
    apic.writeMmio(SVR, 0xFF);
    assertThat(apic.readMmio(LVT_TIMER)).isEqualTo(0x10030);
    ipi(apic, 0, 0x400);
    assertThat(partition.cpus.get(0).signals).as("NMI still comes").containsExactly("NMI");
  }

  // --- end of interrupt ---

  @Test
  void onlyLevelTriggeredInterruptsAreReportedWhenTheyEnd() {
    enableAll();
    partition.signalMsi(0xFEE0_0000L, 0x40);
    apic.acknowledge();
    apic.writeMmio(EOI, 0);
    assertThat(partition.ended).isEmpty();
    partition.signalMsi(0xFEE0_0000L, 0xC040);
    assertThat(apic.readMmio(0x180 + 0x20)).as("TMR").isEqualTo(1);
    apic.acknowledge();
    apic.writeMmio(EOI, 0);
    assertThat(partition.ended).containsExactly(0x40);
  }

  @Test
  void theBroadcastCanBeSuppressed() {
    enableAll();
    apic.writeMmio(SVR, 0x11FF);
    partition.signalMsi(0xFEE0_0000L, 0xC040);
    apic.acknowledge();
    apic.writeMmio(EOI, 0);
    assertThat(partition.ended).isEmpty();
    assertThat(apic.readMmio(0x120)).isZero();
  }

  // --- destinations ---

  private String pending() {
    var text = new StringBuilder();
    for (var a : partition.apics) {
      text.append(a.interruptPending() ? '1' : '0');
      while (a.acknowledge() >= 0) {
        a.writeMmio(EOI, 0);
        if (!a.interruptPending()) {
          break;
        }
      }
    }
    return text.toString();
  }

  @Test
  void physicalDestinationsAndShorthands() {
    enableAll();
    ipi(apic, 2, 0x40);
    assertThat(pending()).isEqualTo("0010");
    ipi(apic, 0xFF, 0x40);
    assertThat(pending()).isEqualTo("1111");
    ipi(apic, 9, 0x40);
    assertThat(pending()).isEqualTo("0000");
    ipi(partition.apics.get(1), 0, 1 << 18 | 0x40);
    assertThat(pending()).as("self").isEqualTo("0100");
    ipi(partition.apics.get(1), 0, 2 << 18 | 0x40);
    assertThat(pending()).as("all").isEqualTo("1111");
    ipi(partition.apics.get(1), 0, 3 << 18 | 0x40);
    assertThat(pending()).as("all but self").isEqualTo("1011");
  }

  @Test
  void logicalFlatDestinations() {
    enableAll();
    for (int i = 0; i < 4; i++) {
      partition.apics.get(i).writeMmio(LDR, 1 << 24 + i);
    }
    ipi(apic, 0b1010, 0x840);
    assertThat(pending()).isEqualTo("0101");
    ipi(apic, 0xFF, 0x840);
    assertThat(pending()).isEqualTo("1111");
    ipi(apic, 0x10, 0x840);
    assertThat(pending()).isEqualTo("0000");
  }

  @Test
  void logicalClusterDestinations() {
    enableAll();
    for (int i = 0; i < 4; i++) {
      partition.apics.get(i).writeMmio(DFR, 0x0FFF_FFFF);
      // Two processors in each of the clusters 1 and 2.
      partition.apics.get(i).writeMmio(LDR, (1 + i / 2) << 28 | 1 << 24 + i % 2);
    }
    ipi(apic, 0x23, 0x840);
    assertThat(pending()).isEqualTo("0011");
    ipi(apic, 0x12, 0x840);
    assertThat(pending()).isEqualTo("0100");
    ipi(apic, 0xF1, 0x840);
    assertThat(pending()).as("all clusters").isEqualTo("1010");
  }

  @Test
  void x2apicDestinations() {
    enableAll();
    for (int i = 0; i < 4; i++) {
      toX2apic(partition.apics.get(i), i == 0);
    }
    apic.writeMsr(0x830, 2L << 32 | 0x40);
    assertThat(partition.apics.get(2).acknowledge()).isEqualTo(0x40);
    apic.writeMsr(0x830, 0b1010L << 32 | 0x841);
    assertThat(partition.apics.get(1).acknowledge()).isEqualTo(0x41);
    assertThat(partition.apics.get(3).acknowledge()).isEqualTo(0x41);
    assertThat(partition.apics.get(2).interruptPending()).isFalse();
    apic.writeMsr(0x830, 0x1_0001L << 32 | 0x841);
    assertThat(apic.interruptPending()).as("other cluster").isFalse();
    apic.writeMsr(0x830, 0xFFL << 32 | 0x42);
    assertThat(apic.interruptPending()).as("255 is an id here").isFalse();
    apic.writeMsr(0x830, 0xFFFF_FFFFL << 32 | 0x52);
    assertThat(partition.apics).allMatch(LocalApic::interruptPending);
    assertThat(msr(apic, 0x830)).isEqualTo(0xFFFF_FFFFL << 32 | 0x52);
    apic.acknowledge();
    apic.writeMsr(0x83F, 0x77);
    assertThat(apic.acknowledge()).as("self IPI").isEqualTo(0x77);
  }

  @Test
  void lowestPriorityChoosesTheLeastBusy() {
    enableAll();
    for (int i = 0; i < 4; i++) {
      partition.apics.get(i).writeMmio(LDR, 1 << 24 + i);
      partition.apics.get(i).setTaskPriority(i == 2 ? 1 : 3);
    }
    partition.signalMsi(0xFEE0_F004L, 0x140);
    assertThat(partition.apics.get(2).acknowledge()).isEqualTo(0x40);
    partition.signalMsi(0xFEE0_F00CL, 0x041);
    assertThat(partition.apics).as("redirected to one of the others").hasSize(4);
    assertThat(partition.apics.stream().filter(LocalApic::interruptPending).count()).isEqualTo(1);
    assertThat(partition.apics.get(2).interruptPending()).isFalse();
  }

  // --- messages ---

  @Test
  void messageSignalledInterrupts() {
    enableAll();
    partition.signalMsi(0xFEE0_1000L, 0x51);
    assertThat(partition.apics.get(1).acknowledge()).isEqualTo(0x51);
    partition.apics.get(3).writeMmio(LDR, 0x80 << 24);
    partition.signalMsi(0xFEE8_0004L, 0x52);
    assertThat(partition.apics.get(3).acknowledge()).isEqualTo(0x52);
    partition.signalMsi(0xFEE0_1000L, 0x400);
    assertThat(partition.cpus.get(1).signals).containsExactly("NMI");
    partition.signalMsi(0x1_FEE0_1000L, 0x61);
    partition.signalMsi(0xFED0_1000L, 0x61);
    partition.signalMsi(0xFEE0_1000L, 0x8061);
    assertThat(partition.apics.get(1).interruptPending()).isFalse();
  }

  @Test
  void initAndStartupReachTheProcessor() {
    ipi(apic, 1, 0xC500);
    ipi(apic, 1, 0x8500);
    ipi(apic, 1, 0x4608);
    assertThat(partition.cpus.get(1).signals).containsExactly("INIT", "SIPI 8");
    ipi(apic, 0, 3 << 18 | 0x4400);
    assertThat(partition.cpus.get(0).signals).isEmpty();
    assertThat(partition.cpus.get(2).signals).containsExactly("NMI");
  }

  @Test
  void initKeepsTheMode() {
    toX2apic(apic, true);
    apic.writeMsr(0x80F, 0x1FF);
    apic.reset();
    assertThat(apic.apicBase()).isEqualTo(X2APIC | BSP);
    assertThat(msr(apic, 0x80F)).isEqualTo(0xFF);
    assertThat(msr(apic, 0x80D)).isEqualTo(1);
  }

  @Test
  void illegalVectorsAreErrors() {
    enableAll();
    apic.writeMmio(LVT_ERROR, 0xFE);
    ipi(apic, 1, 0x0F);
    assertThat(apic.acknowledge()).isEqualTo(0xFE);
    apic.writeMmio(EOI, 0);
    ipi(apic, 1, 0x0F);
    assertThat(apic.interruptPending()).as("once, until the status is written").isFalse();
    apic.writeMmio(ESR, 0);
    assertThat(apic.readMmio(ESR)).isEqualTo(0x20);
    partition.signalMsi(0xFEE0_0000L, 0x05);
    assertThat(apic.acknowledge()).isEqualTo(0xFE);
    apic.writeMmio(ESR, 0);
    assertThat(apic.readMmio(ESR)).isEqualTo(0x40);
  }

  // --- local interrupts ---

  @Test
  void theLegacyLineComesThroughLint0AsExtInt() {
    partition.setExternalInterrupt(true);
    assertThat(apic.interruptPending()).as("masked").isFalse();
    enableAll();
    apic.writeMmio(LVT_LINT0, 0x700);
    assertThat(apic.interruptPending()).isTrue();
    assertThat(apic.acknowledge()).isEqualTo(LocalApic.EXTERNAL);
    assertThat(apic.interruptPending()).as("a level").isTrue();
    apic.setTaskPriority(15);
    assertThat(apic.interruptPending()).as("not subject to priority").isTrue();
    partition.setExternalInterrupt(false);
    assertThat(apic.interruptPending()).isFalse();
    assertThat(partition.apics.get(1).interruptPending()).isFalse();
  }

  @Test
  void theLegacyLineReachesAProcessorWithoutApic() {
    apic.setApicBase(0xFEE0_0000L);
    partition.setExternalInterrupt(true);
    assertThat(apic.interruptPending()).isTrue();
    assertThat(apic.acknowledge()).isEqualTo(LocalApic.EXTERNAL);
  }

  @Test
  void lint0CanBeFixedOrNmi() {
    enableAll();
    apic.writeMmio(LVT_LINT0, 0x35);
    partition.setExternalInterrupt(true);
    assertThat(apic.acknowledge()).isEqualTo(0x35);
    apic.writeMmio(EOI, 0);
    partition.setExternalInterrupt(false);
    apic.writeMmio(LVT_LINT0, 0x8036);
    partition.setExternalInterrupt(true);
    assertThat(apic.readMmio(LVT_LINT0)).as("remote IRR").isEqualTo(0xC036);
    assertThat(apic.acknowledge()).isEqualTo(0x36);
    apic.writeMmio(EOI, 0);
    assertThat(apic.acknowledge()).as("still asserted").isEqualTo(0x36);
    partition.setExternalInterrupt(false);
    apic.writeMmio(EOI, 0);
    assertThat(apic.interruptPending()).isFalse();
    apic.writeMmio(LVT_LINT0, 0x400);
    partition.setExternalInterrupt(true);
    assertThat(partition.cpus.get(0).signals).containsExactly("NMI");
  }

  @Test
  void theNmiButtonIsOnLint1() {
    enableAll();
    partition.bus.pulseLint1();
    assertThat(partition.cpus.get(1).signals).isEmpty();
    partition.apics.get(1).writeMmio(LVT_LINT1, 0x400);
    partition.bus.pulseLint1();
    assertThat(partition.cpus.get(1).signals).containsExactly("NMI");
    assertThat(partition.cpus.get(0).signals).isEmpty();
  }

  @Test
  void anExtIntMessageIsAskedForOnce() {
    enableAll();
    partition.signalMsi(0xFEE0_1000L, 0x700);
    assertThat(partition.apics.get(1).acknowledge()).isEqualTo(LocalApic.EXTERNAL);
    assertThat(partition.apics.get(1).interruptPending()).isFalse();
  }

  @Test
  void virtualWireStateLetsTheLegacyLineThrough() {
    apic.setState(LocalApics.virtualWireState());
    partition.setExternalInterrupt(true);
    assertThat(apic.acknowledge()).isEqualTo(LocalApic.EXTERNAL);
  }

  // --- timer ---

  @Test
  void aOneShotTimerFiresOnce() {
    enableAll();
    apic.writeMmio(LVT_TIMER, 0x30);
    apic.writeMmio(DIVIDE, 0b0011); // by 16
    apic.writeMmio(INITIAL, 1000);
    partition.time.advance(8_000);
    assertThat(apic.readMmio(CURRENT)).isEqualTo(500);
    partition.time.advance(7_999);
    assertThat(apic.interruptPending()).isFalse();
    assertThat(apic.readMmio(CURRENT)).isEqualTo(1);
    partition.time.advance(1);
    assertThat(apic.acknowledge()).isEqualTo(0x30);
    assertThat(apic.readMmio(CURRENT)).isZero();
    apic.writeMmio(EOI, 0);
    partition.time.advance(100_000);
    assertThat(apic.interruptPending()).isFalse();
  }

  @Test
  void everyDividerIsTheManuals() {
    enableAll();
    int[] codes = {0b0000, 0b0001, 0b0010, 0b0011, 0b1000, 0b1001, 0b1010, 0b1011};
    int[] dividers = {2, 4, 8, 16, 32, 64, 128, 1};
    for (int i = 0; i < codes.length; i++) {
      apic.writeMmio(DIVIDE, codes[i]);
      apic.writeMmio(INITIAL, 1000);
      partition.time.advance(100L * dividers[i]);
      assertThat(apic.readMmio(CURRENT)).as("divider %d", dividers[i]).isEqualTo(900);
      assertThat(apic.readMmio(DIVIDE)).isEqualTo(codes[i]);
    }
  }

  @Test
  void aPeriodicTimerKeepsItsRate() {
    enableAll();
    apic.writeMmio(LVT_TIMER, 0x20030);
    apic.writeMmio(DIVIDE, 0b1011);
    apic.writeMmio(INITIAL, 1_000_000);
    int fired = 0;
    for (int i = 0; i < 1000; i++) {
      partition.time.advance(100_000);
      if (apic.interruptPending()) {
        apic.acknowledge();
        apic.writeMmio(EOI, 0);
        fired++;
      }
    }
    assertThat(fired).isEqualTo(100);
    partition.time.advance(250_000);
    assertThat(apic.readMmio(CURRENT)).isEqualTo(750_000);
    apic.writeMmio(INITIAL, 0);
    partition.time.advance(10_000_000);
    assertThat(apic.interruptPending()).isFalse();
  }

  @Test
  void aMaskedTimerCountsAndDoesNotInterrupt() {
    enableAll();
    apic.writeMmio(LVT_TIMER, 0x30030);
    apic.writeMmio(DIVIDE, 0b1011);
    apic.writeMmio(INITIAL, 1_000_000);
    partition.time.advance(1_500_000);
    assertThat(apic.interruptPending()).isFalse();
    assertThat(apic.readMmio(CURRENT)).isEqualTo(500_000);
  }

  /// Without a limit this test would fire a thousand million times.
  @Test
  void theShortestPeriodDoesNotKeepTheTimeSourceBusy() {
    enableAll();
    apic.writeMmio(LVT_TIMER, 0x20030);
    apic.writeMmio(DIVIDE, 0b1011);
    apic.writeMmio(INITIAL, 1);
    int wakes = partition.cpus.get(0).wakes;
    partition.time.advance(1_000_000_000L);
    assertThat(partition.cpus.get(0).wakes - wakes).isBetween(1, 50_001);
    assertThat(apic.readMmio(CURRENT)).isEqualTo(1);
  }

  @Test
  void tscDeadline() {
    enableAll();
    apic.setTscDeadline(5_000);
    assertThat(apic.tscDeadline()).as("other mode").isZero();
    apic.writeMmio(LVT_TIMER, 0x40031);
    apic.setTscDeadline(5_001);
    assertThat(apic.tscDeadline()).isEqualTo(5_001);
    apic.writeMmio(INITIAL, 77);
    assertThat(apic.readMmio(INITIAL)).as("ignored in this mode").isZero();
    partition.time.advance(2_500);
    assertThat(apic.interruptPending()).isFalse();
    partition.time.advance(1_001);
    assertThat(apic.acknowledge()).isEqualTo(0x31);
    assertThat(apic.tscDeadline()).isZero();
    apic.writeMmio(EOI, 0);
    apic.setTscDeadline(1);
    partition.time.advance(0);
    assertThat(apic.acknowledge()).as("a past deadline fires at once").isEqualTo(0x31);
    apic.writeMmio(EOI, 0);
    apic.setTscDeadline(-1);
    partition.time.advance(1_000_000_000_000L);
    assertThat(apic.interruptPending()).isFalse();
    apic.setTscDeadline(partition.cpus.get(0).readTsc() + 1000);
    apic.writeMmio(LVT_TIMER, 0x31);
    partition.time.advance(1_000_000);
    assertThat(apic.interruptPending()).as("the mode change disarms").isFalse();
  }

  @Test
  void changingTheDividerGoesOnFromTheCount() {
    enableAll();
    apic.writeMmio(LVT_TIMER, 0x30);
    apic.writeMmio(DIVIDE, 0b1011);
    apic.writeMmio(INITIAL, 1000);
    partition.time.advance(400);
    apic.writeMmio(DIVIDE, 0b0000);
    assertThat(apic.readMmio(CURRENT)).isEqualTo(600);
    partition.time.advance(1199);
    assertThat(apic.interruptPending()).isFalse();
    partition.time.advance(1);
    assertThat(apic.interruptPending()).isTrue();
  }

  // --- saved state ---

  @Test
  void stateMovesToAnotherPartition() {
    enableAll();
    apic.writeMmio(TPR, 0x20);
    apic.writeMmio(LDR, 0x0100_0000);
    apic.writeMmio(LVT_LINT0, 0x8700);
    apic.writeMmio(LVT_TIMER, 0x20033);
    apic.writeMmio(DIVIDE, 0b0011);
    apic.writeMmio(INITIAL, 100_000);
    partition.signalMsi(0xFEE0_0000L, 0xC080);
    apic.acknowledge();
    partition.signalMsi(0xFEE0_0000L, 0x0090);
    partition.time.advance(400_000);
    var state = apic.state();
    assertThat(state.timerRemaining()).isEqualTo(1_200_000);

    try (var other = new TestPartition(1)) {
      var restored = other.apics.get(0);
      restored.setState(state);
      assertThat(restored.state()).usingRecursiveComparison().isEqualTo(state);
      assertThat(restored.interruptPending()).isTrue();
      assertThat(restored.acknowledge()).isEqualTo(0x90);
      restored.writeMmio(EOI, 0);
      restored.writeMmio(EOI, 0);
      assertThat(other.ended).containsExactly(0x80);
      other.time.advance(1_199_999);
      assertThat(restored.interruptPending()).isFalse();
      other.time.advance(1);
      assertThat(restored.acknowledge()).isEqualTo(0x33);
    }
  }

  @Test
  void x2apicStateWithDeadlineMoves() {
    toX2apic(apic, true);
    apic.writeMsr(0x80F, 0x1FF);
    apic.writeMsr(0x832, 0x40031);
    apic.setTscDeadline(2_000_000);
    var state = apic.state();
    try (var other = new TestPartition(1)) {
      var restored = other.apics.get(0);
      restored.setState(state);
      assertThat(restored.state()).usingRecursiveComparison().isEqualTo(state);
      other.time.advance(1_000_000);
      assertThat(restored.acknowledge()).isEqualTo(0x31);
    }
  }

  @Test
  void powerUpStateRoundTrips() {
    for (int i = 0; i < 2; i++) {
      assertThat(partition.apics.get(i).state())
          .usingRecursiveComparison()
          .isEqualTo(LocalApics.powerUpState(i));
    }
  }

  @Test
  void impossibleStatesAreRefused() {
    var page = new byte[LocalApicState.REGISTERS_SIZE];
    assertThatThrownBy(() -> apic.setState(new LocalApicState(0xFEE0_0400L, page, 0, -1)))
        .isInstanceOf(IllegalArgumentException.class);
  }

  /// Interrupts come from other threads while the owner takes and ends them: none may get lost.
  @Test
  void interruptsFromOtherThreadsAreNotLost() throws InterruptedException {
    enableAll();
    int rounds = 20_000;
    var sender =
        Thread.ofPlatform()
            .start(
                () -> {
                  for (int i = 0; i < rounds; i++) {
                    partition.signalMsi(0xFEE0_0000L, 0x20 + i % 200);
                  }
                  partition.signalMsi(0xFEE0_0000L, 0xFE);
                });
    int last = 0;
    while (last != 0xFE) {
      if (apic.interruptPending()) {
        last = apic.acknowledge();
        assertThat(last).isGreaterThanOrEqualTo(0x20);
        apic.writeMmio(EOI, 0);
      } else {
        Thread.onSpinWait();
      }
    }
    sender.join();
    while (apic.interruptPending()) {
      apic.acknowledge();
      apic.writeMmio(EOI, 0);
    }
    for (int word = 0; word < 8; word++) {
      assertThat(apic.readMmio(0x100 + 16 * word)).isZero();
      assertThat(apic.readMmio(0x200 + 16 * word)).isZero();
    }
  }
}
