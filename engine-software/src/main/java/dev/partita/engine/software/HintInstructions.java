package dev.partita.engine.software;

import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/// Instructions with no effect on registers or memory (NOP, PAUSE, prefetches, cache-line flushes,
/// fences), and the random numbers of RDRAND and RDSEED.
final class HintInstructions {
  private HintInstructions() {}

  /// Opcode 90 with RAX.
  static Operation noOperation(Instruction i) {
    return i.repeatPrefix == 0xF3 ? new Pause() : new Nop();
  }

  /// Opcodes 0F 0D, 0F 18 to 0F 1F: prefetches, ENDBR, multi-byte NOP; what is not defined there is
  /// a NOP by definition.
  static Operation hint() {
    return new Nop();
  }

  /// The parts of group 15 (opcode 0F AE) that are neither x87's nor the system's.
  static @Nullable Operation group15(Instruction i) {
    if (i.repeatPrefix != 0) {
      return null;
    }
    int extension = i.extension();
    if (!i.isMemory()) {
      return extension >= 5 && !i.operandPrefix ? new Fence() : null;
    }
    // CLFLUSH is NP /7, CLFLUSHOPT 66 /7, CLWB 66 /6; NP /6 is XSAVEOPT.
    if (extension == 7 || (extension == 6 && i.operandPrefix)) {
      return new FlushLine(i.operand());
    }
    return null;
  }

  /// Opcode 0F C7 /6 and /7 with registers: RDRAND and RDSEED.
  static @Nullable Operation random(Instruction i) {
    return i.isMemory() || i.repeatPrefix != 0 ? null : new Random(i.rm, i.operandSize / 8);
  }

  static final class Nop extends Operation {
    @Override
    void execute(Cpu c) {
      // Nothing.
    }

    @Override
    boolean emit(RegionEmitter e) {
      return true;
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.NONE;
    }
  }

  private static final class Pause extends Operation {
    @Override
    void execute(Cpu c) {
      Thread.onSpinWait();
    }
  }

  private static final class Fence extends Operation {
    @Override
    void execute(Cpu c) {
      VarHandle.fullFence();
    }
  }

  /// There is no cache to flush; the address faults as a load would.
  private static final class FlushLine extends Operation {
    final MemoryOperand memory;

    FlushLine(MemoryOperand memory) {
      this.memory = memory;
    }

    @Override
    void execute(Cpu c) {
      c.mmu.translate(memory.readAddress(c, 1), Mmu.READ);
    }
  }

  private static final class Random extends Form.Reg {
    final int size;

    Random(int destination, int size) {
      super(destination);
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      Operands.set(c, destination, size, c.random().nextLong());
      // Always at hand: CF set, the others clear.
      c.setArithmeticFlags(Cpu.CF);
    }
  }
}
