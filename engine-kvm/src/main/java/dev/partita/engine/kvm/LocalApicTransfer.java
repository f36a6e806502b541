package dev.partita.engine.kvm;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.partita.hypervisor.LocalApicState;
import java.lang.foreign.Arena;

/// Between a local APIC of KVM and its saved state. Offsets are those of the Intel SDM, volume 3,
/// table "Local APIC Register Address Map".
///
/// KVM keeps a running timer in its current-count register and starts it from there; the saved
/// state keeps the time that is left.
final class LocalApicTransfer {
  private static final int ID = 0x20;
  private static final int IN_SERVICE = 0x100;
  private static final int TRIGGER_MODE = 0x180;
  private static final int REQUESTED = 0x200;
  private static final int LVT_TIMER = 0x320;
  private static final int INITIAL_COUNT = 0x380;
  private static final int CURRENT_COUNT = 0x390;
  private static final int DIVIDE_CONFIGURATION = 0x3E0;

  // The timer's mode in its LVT entry, bits 18:17.
  private static final int PERIODIC_MODE = 1;
  private static final int TSC_DEADLINE_MODE = 2;

  /// Level-triggered, asserted: of a message's data.
  private static final int LEVEL_ASSERT = 1 << 15 | 1 << 14;

  private static final long NANOS_PER_TICK = 1_000_000_000L / GuestCpuid.APIC_FREQUENCY;

  private final KvmDescriptor processor;
  private final LevelRoutes levelRoutes;
  private final int index;

  LocalApicTransfer(KvmDescriptor processor, LevelRoutes levelRoutes, int index) {
    this.processor = processor;
    this.levelRoutes = levelRoutes;
    this.index = index;
  }

  LocalApicState save(Arena arena, long apicBase, long tscDeadline) {
    var page = arena.allocate(LocalApicState.REGISTERS_SIZE, 8);
    processor.call(Ioctl.KVM_GET_LAPIC, page);
    long left = -1;
    int timerMode = page.get(JAVA_INT, LVT_TIMER) >> 17 & 3;
    int count = page.get(JAVA_INT, CURRENT_COUNT);
    // A one-shot timer at 0 has run out; a periodic one is about to begin again, which on a busy
    // host takes KVM a while.
    boolean runs = timerMode == PERIODIC_MODE || timerMode != TSC_DEADLINE_MODE && count != 0;
    if (runs && page.get(JAVA_INT, INITIAL_COUNT) != 0) {
      left = (count & 0xFFFF_FFFFL) * divisor(page.get(JAVA_INT, DIVIDE_CONFIGURATION));
      left *= NANOS_PER_TICK;
    }
    return new LocalApicState(
        apicBase, page.toArray(JAVA_BYTE), timerMode == TSC_DEADLINE_MODE ? tscDeadline : 0, left);
  }

  /// The processor's APIC base and mode must be set before.
  void load(Arena arena, LocalApicState state) {
    var page = arena.allocate(LocalApicState.REGISTERS_SIZE, 8);
    page.asByteBuffer().put(state.registers());
    // The id is the processor's, whatever the state says.
    page.set(JAVA_INT, ID, index << 24);
    if (state.timerRemaining() < 0) {
      // Stopped: KVM would start any initial count again.
      page.set(JAVA_INT, INITIAL_COUNT, 0);
      page.set(JAVA_INT, CURRENT_COUNT, 0);
    } else {
      long tick = divisor(page.get(JAVA_INT, DIVIDE_CONFIGURATION)) * NANOS_PER_TICK;
      long most = page.get(JAVA_INT, INITIAL_COUNT) & 0xFFFF_FFFFL;
      page.set(
          JAVA_INT,
          CURRENT_COUNT,
          (int) Math.clamp(state.timerRemaining() / tick, 1, Math.max(most, 1)));
    }
    processor.call(Ioctl.KVM_SET_LAPIC, page);
    for (int vector = 16; vector < 256; vector++) {
      int word = vector / 32 * 16;
      int bit = 1 << vector % 32;
      int alive = page.get(JAVA_INT, IN_SERVICE + word) | page.get(JAVA_INT, REQUESTED + word);
      if ((alive & page.get(JAVA_INT, TRIGGER_MODE + word) & bit) != 0) {
        // The I/O APIC waits for the end of this one.
        levelRoutes.prepare(0xFEE0_0000 | index << 12, vector | LEVEL_ASSERT);
      }
    }
  }

  /// Divide configuration: bits 3, 1 and 0 are a power of two less one; 7 means 1.
  private static int divisor(int configuration) {
    int code = configuration & 3 | configuration >> 1 & 4;
    return 1 << (code + 1 & 7);
  }
}
