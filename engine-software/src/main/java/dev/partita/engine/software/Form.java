package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// Shapes of operations by the operands they name, so that each operation states only its meaning.
/// The first operand is the destination, as in the Intel SDM.
final class Form {
  private Form() {}

  abstract static class Reg extends Operation {
    final int destination;

    Reg(int destination) {
      this.destination = destination;
    }
  }

  abstract static class RegReg extends Operation {
    final int destination;
    final int source;

    RegReg(int destination, int source) {
      this.destination = destination;
      this.source = source;
    }
  }

  abstract static class RegImm extends Operation {
    final int destination;

    /// Sign-extended.
    final long immediate;

    RegImm(int destination, long immediate) {
      this.destination = destination;
      this.immediate = immediate;
    }
  }

  abstract static class RegMem extends Operation {
    final int destination;
    final MemoryOperand memory;

    RegMem(int destination, MemoryOperand memory) {
      this.destination = destination;
      this.memory = memory;
    }
  }

  abstract static class MemReg extends Operation {
    final MemoryOperand memory;
    final int source;

    MemReg(MemoryOperand memory, int source) {
      this.memory = memory;
      this.source = source;
    }
  }

  abstract static class MemImm extends Operation {
    final MemoryOperand memory;

    /// Sign-extended.
    final long immediate;

    MemImm(MemoryOperand memory, long immediate) {
      this.memory = memory;
      this.immediate = immediate;
    }
  }

  /// A register or memory operand of any size that is read.
  abstract static class Source extends Operation {
    /// Bytes: 1, 2, 4 or 8.
    final int size;

    /// The register, if {@link #memory} is null.
    final int register;

    final @Nullable MemoryOperand memory;

    Source(Instruction i, int size) {
      this.size = size;
      this.register = Operands.rm(i, size);
      this.memory = i.isMemory() ? i.operand() : null;
    }

    /// The operand's value, zero-extended.
    final long source(Cpu c) {
      var m = memory;
      return m == null
          ? Operands.get(c, register, size)
          : Operands.load(c, m.readAddress(c, size), size);
    }
  }

  /// A register or memory operand of any size that is read and written: {@link #compute} gives the
  /// new value from the old. With a LOCK prefix it is repeated until no other processor came
  /// between.
  abstract static class Update extends Operation {
    /// Bytes: 1, 2, 4 or 8.
    final int size;

    /// The register, if {@link #memory} is null.
    final int register;

    final @Nullable MemoryOperand memory;
    final boolean locked;

    Update(Instruction i, int size) {
      this.size = size;
      this.register = Operands.rm(i, size);
      this.memory = i.isMemory() ? i.operand() : null;
      this.locked = i.lock;
    }

    /// The new value from the old one, both zero-extended (bits above the size are ignored in the
    /// result). Sets the flags, and nothing else: it may be called again.
    abstract long compute(Cpu c, long old);

    /// What the instruction does besides, after the operand was written.
    void finish(Cpu c, long old) {}

    /// The linear address in memory.
    long address(Cpu c, MemoryOperand m) {
      return m.writeAddress(c, size);
    }

    @Override
    final void execute(Cpu c) {
      var m = memory;
      long old;
      if (m == null) {
        old = Operands.get(c, register, size);
        Operands.set(c, register, size, compute(c, old));
      } else {
        long address = address(c, m);
        old = c.loadForUpdate(address, size);
        if (locked) {
          old = updateLocked(c, address, old);
        } else {
          Operands.store(c, address, size, compute(c, old));
        }
      }
      finish(c, old);
    }

    private long updateLocked(Cpu c, long address, long first) {
      long flagResult = c.flagResult;
      long flagCarry = c.flagCarry;
      long mask = Operands.mask(size);
      long expected = first;
      while (true) {
        long found = c.compareExchange(address, size, expected, compute(c, expected) & mask);
        if (found == expected) {
          return expected;
        }
        expected = found;
        c.flagResult = flagResult;
        c.flagCarry = flagCarry;
      }
    }
  }
}
