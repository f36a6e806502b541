package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// An x87 instruction.
///
/// Order of events: device not available, pending exception (#MF), loading of a memory operand,
/// stack fault, computation, store; so a fault finds all state as before. An unmasked exception
/// that is found before the computation sets its flag and leaves registers and stack alone; the
/// next waiting instruction raises #MF. CR0.NE is taken as set: there is no FERR# line.
abstract class X87Operation extends Operation {
  /// The opcode as the unit keeps it: low three bits of the first byte, then the second.
  final int opcode;

  final @Nullable MemoryOperand memory;

  X87Operation(Instruction i) {
    this.opcode = (i.opcode & 7) << 8 | i.mod << 6 | (i.reg & 7) << 3 | i.rm & 7;
    this.memory = i.memory;
  }

  /// Before a waiting instruction that computes.
  static X87 enter(Cpu c) {
    c.requireX87();
    c.x87.checkPending(c);
    return c.x87;
  }

  /// After an instruction that computes: keeps the pointers. Their segments are not kept; so they
  /// are linear in real and virtual-8086 mode, whose environment images hold linear addresses.
  final void leave(Cpu c) {
    var x = c.x87;
    long ip = ownRip(c);
    if (!c.is64()) {
      ip = (realAddresses(c) ? ip + c.segmentBase[Cpu.CS] : ip) & 0xFFFF_FFFFL;
    }
    x.instructionPointer = ip;
    if (x.pending()) {
      x.opcode = opcode;
      if (memory != null) {
        long dp = memory.offset(c);
        x.dataPointer = realAddresses(c) ? dp + c.segmentBase[memory.segment] : dp;
      }
    }
  }

  /// Real or virtual-8086 mode.
  static boolean realAddresses(Cpu c) {
    return !c.protectedMode() || c.virtual8086();
  }

  /// The memory operand of an instruction that has one.
  final MemoryOperand operand() {
    var m = memory;
    if (m == null) {
      throw new IllegalStateException("no memory operand");
    }
    return m;
  }
}
