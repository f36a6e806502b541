package dev.partita.engine.software;

import dev.partita.hypervisor.Intercept;

/// Reads of the current task-state segment: stacks of inner levels, the I/O permission bitmap, the
/// interrupt redirection bitmap. Intel SDM volume 3, 8.2.1 (32-bit), 8.6 (16-bit), 8.7 (64-bit) and
/// volume 1, 19.5.2.
final class TaskState {
  /// Offset of the I/O map base address in the 32- and 64-bit TSS.
  private static final int IO_MAP_BASE = 102;

  /// Bytes of the interrupt redirection bitmap, below the I/O permission bitmap.
  private static final int REDIRECTION_SIZE = 32;

  private TaskState() {}

  /// SS for an inner level from a 16- or 32-bit TSS.
  static int stackSelector(Cpu c, int level) {
    return wide(c) ? (int) load(c, 8 + 8 * level, 2) : (int) load(c, 4 + 4 * level, 2);
  }

  /// ESP or SP for an inner level from a 16- or 32-bit TSS.
  static long stackPointer(Cpu c, int level) {
    return wide(c) ? load(c, 4 + 8 * level, 4) : load(c, 2 + 4 * level, 2);
  }

  /// RSP for an inner level from a 64-bit TSS.
  static long stackPointer64(Cpu c, int level) {
    return load(c, 4 + 8 * level, 8);
  }

  /// RSP of an interrupt stack table entry.
  ///
  /// @param index 1 to 7
  static long interruptStack(Cpu c, int index) {
    return load(c, 28 + 8 * index, 8);
  }

  private static boolean wide(Cpu c) {
    return (c.trAttributes & 8) != 0;
  }

  private static long load(Cpu c, int offset, int size) {
    if (Integer.compareUnsigned(offset + size - 1, c.trLimit) > 0) {
      throw c.raise(GuestFault.INVALID_TSS, c.trSelector & 0xFFFC);
    }
    return c.mmu.loadSystem(linear(c, offset), size);
  }

  private static long linear(Cpu c, int offset) {
    long address = c.trBase + offset;
    return c.longMode() ? address : address & 0xFFFF_FFFFL;
  }

  /// Before an access to I/O ports: IOPL and the I/O permission bitmap.
  ///
  /// @param size 1, 2 or 4 ports
  /// @throws GuestFault general protection
  static void checkPorts(Cpu c, int port, int size) {
    if (!c.protectedMode() || (c.cpl <= (c.systemFlags >> 12 & 3) && !c.virtual8086())) {
      return;
    }
    if (!wide(c) || Integer.compareUnsigned(c.trLimit, IO_MAP_BASE + 1) < 0) {
      throw c.generalProtection(0);
    }
    int offset = (int) c.mmu.loadSystem(linear(c, IO_MAP_BASE), 2) + (port >> 3);
    // Two bytes are read, whatever the size; both must be within the limit.
    if (Integer.compareUnsigned(offset + 1, c.trLimit) > 0) {
      throw c.generalProtection(0);
    }
    int bits = (int) c.mmu.loadSystem(linear(c, offset), 2) >> (port & 7);
    if ((bits & (1 << size) - 1) != 0) {
      throw c.generalProtection(0);
    }
  }

  /// Whether INT n in virtual-8086 mode with CR4.VME set goes to the task's own real-mode handler:
  /// the vector's bit in the redirection bitmap is clear.
  static boolean redirectsInterrupt(Cpu c, int vector) {
    if (!wide(c) || Integer.compareUnsigned(c.trLimit, IO_MAP_BASE + 1) < 0) {
      throw c.generalProtection(0);
    }
    int map = (int) c.mmu.loadSystem(linear(c, IO_MAP_BASE), 2) - REDIRECTION_SIZE;
    int offset = map + (vector >> 3);
    if (offset < 0 || Integer.compareUnsigned(offset, c.trLimit) > 0) {
      throw c.generalProtection(0);
    }
    return (c.mmu.loadSystem(linear(c, offset), 1) & 1L << (vector & 7)) == 0;
  }

  /// `throw TaskState.switchRefused(...)`: the guest wants a hardware task switch.
  static ShutdownSignal switchRefused(Cpu c, String how) {
    return new ShutdownSignal(
        Intercept.Shutdown.Reason.UNSUPPORTED,
        "the guest switches tasks in hardware (%s) at CS:RIP 0x%x:0x%x; this engine does not"
            .formatted(how, c.segmentSelector[Cpu.CS], c.rip));
  }
}
