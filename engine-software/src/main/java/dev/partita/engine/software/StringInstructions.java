package dev.partita.engine.software;

/// MOVS, CMPS, STOS, LODS and SCAS, alone or repeated.
///
/// A repeated operation commits RSI, RDI and RCX after each step, so a fault in the middle finds
/// them as the architecture says. It does at most a page of work and then branches to itself while
/// there is more to do, so that interrupts are seen in between.
final class StringInstructions {
  /// Bytes that a repeated operation handles at most before it lets the loop look around.
  private static final int STRETCH = 4096;

  private StringInstructions() {}

  /// Opcodes A4 to A7, AA to AF.
  static Operation create(Instruction i) {
    int size = (i.opcode & 1) == 0 ? 1 : i.operandSize / 8;
    return switch (i.opcode & ~1) {
      case 0xA4 -> new Movs(i, size);
      case 0xA6 -> new Cmps(i, size);
      case 0xAA -> new Stos(i, size);
      case 0xAC -> new Lods(i, size);
      default -> new Scas(i, size);
    };
  }

  private abstract static class StringOperation extends Operation {
    /// Bytes of an element.
    final int size;

    /// Bytes of RSI, RDI and RCX that count.
    final int addressSize;

    final long offsetMask;
    final long linearMask;
    final boolean is64;
    final int sourceSegment;
    final int destinationSegment;

    /// F2, F3 or 0.
    final int repeat;

    StringOperation(Instruction i, int size) {
      this.size = size;
      this.addressSize = i.addressSize / 8;
      this.offsetMask = Operands.mask(addressSize);
      this.is64 = i.is64();
      this.linearMask = is64 ? -1L : 0xFFFF_FFFFL;
      this.sourceSegment = i.dataSegment(Cpu.DS);
      this.destinationSegment = is64 ? Cpu.NO_SEGMENT : Cpu.ES;
      this.repeat = i.repeatPrefix;
    }

    /// One element: registers but RCX are committed at its end.
    abstract void element(Cpu c);

    /// Handles several elements at once if that is possible without a fault.
    ///
    /// @param most elements at most, at least 1
    /// @return elements done; 0 if this must be done one by one
    int several(Cpu c, int most) {
      return 0;
    }

    /// Whether the flags let a repetition go on.
    boolean goesOn(Cpu c) {
      return true;
    }

    @Override
    final Flow flow() {
      return repeat == 0 ? Flow.NEXT : Flow.BRANCH;
    }

    @Override
    final void execute(Cpu c) {
      if (repeat == 0) {
        element(c);
      } else {
        repeated(c);
      }
    }

    private void repeated(Cpu c) {
      long count = Operands.get(c, Cpu.RCX, addressSize);
      // A trap follows every single element.
      int budget = (c.systemFlags & Cpu.TF) != 0 ? 1 : STRETCH / size;
      boolean stopped = false;
      while (count != 0 && budget > 0 && !stopped) {
        int done = several(c, count < 0 || count > budget ? budget : (int) count);
        if (done == 0) {
          element(c);
          done = 1;
          stopped = !goesOn(c);
        }
        count -= done;
        budget -= done;
        Operands.set(c, Cpu.RCX, addressSize, count);
      }
      c.rip = c.ripMasked(count == 0 || stopped ? nextRip(c) : ownRip(c));
    }

    final long sourceAddress(Cpu c) {
      long offset = c.r[Cpu.RSI] & offsetMask;
      if (!is64) {
        c.checkSegment(sourceSegment, offset, size, false);
      }
      return offset + c.segmentBase[sourceSegment] & linearMask;
    }

    final long destinationAddress(Cpu c, boolean write) {
      long offset = c.r[Cpu.RDI] & offsetMask;
      if (!is64) {
        c.checkSegment(destinationSegment, offset, size, write);
      }
      return offset + c.segmentBase[destinationSegment] & linearMask;
    }

    /// Adds bytes to RSI or RDI.
    final void advance(Cpu c, int register, long bytes) {
      Operands.set(c, register, addressSize, c.r[register] + bytes);
    }

    final int step(Cpu c) {
      return size * c.direction();
    }

    /// How many bytes from an address on can be handled at once: up to the page's end, and only
    /// where no limit of a segment or of the address size can come between.
    final int stretch(Cpu c, int register, int segment, long address) {
      long offset = c.r[register] & offsetMask;
      int inPage = STRETCH - (int) (address & 0xFFF);
      if ((!is64 && c.segmentLimit[segment] != -1)
          || Long.compareUnsigned(offset, offsetMask - inPage) > 0) {
        return 0;
      }
      return inPage;
    }

    /// The host's address of a guest's, from a table; 0 if it is not there.
    static long host(long[] table, long address) {
      int slot = Tlb.slot(address);
      return table[slot] == (address & Tlb.PAGE_MASK) ? address + table[slot + 1] : 0;
    }

    @Override
    final Follow follow() {
      return Follow.REPEAT;
    }
  }

  private static final class Movs extends StringOperation {
    Movs(Instruction i, int size) {
      super(i, size);
    }

    @Override
    void element(Cpu c) {
      long value = Operands.load(c, sourceAddress(c), size);
      Operands.store(c, destinationAddress(c, true), size, value);
      int step = step(c);
      advance(c, Cpu.RSI, step);
      advance(c, Cpu.RDI, step);
    }

    @Override
    int several(Cpu c, int most) {
      if (most == 1 || (c.systemFlags & Cpu.DF) != 0) {
        return 0;
      }
      long from = sourceAddress(c);
      long to = destinationAddress(c, true);
      int bytes =
          Math.min(
              Math.min(
                  stretch(c, Cpu.RSI, sourceSegment, from),
                  stretch(c, Cpu.RDI, destinationSegment, to)),
              most * size);
      bytes &= -size;
      long hostFrom = host(c.readTlb, from);
      long hostTo = host(c.writeTlb, to);
      if (bytes == 0 || hostFrom == 0 || hostTo == 0) {
        return 0;
      }
      // Two linear pages may be one page of RAM: what overlaps is known by the host's addresses.
      long ahead = hostTo - hostFrom;
      if (ahead <= 0 || ahead >= bytes) {
        Raw.copy(hostFrom, hostTo, bytes);
      } else if (ahead >= size) {
        repeatPattern(hostFrom, hostTo, bytes, ahead);
      } else {
        return 0;
      }
      advance(c, Cpu.RSI, bytes);
      advance(c, Cpu.RDI, bytes);
      return bytes / size;
    }

    /// Copies forward where the destination starts within the source: the first bytes come again
    /// and again.
    private static void repeatPattern(long from, long to, int bytes, long period) {
      int done = 0;
      while (done < bytes) {
        int length = (int) Math.min(done + period, bytes - done);
        Raw.copy(from, to + done, length);
        done += length;
      }
    }
  }

  private static final class Stos extends StringOperation {
    Stos(Instruction i, int size) {
      super(i, size);
    }

    @Override
    void element(Cpu c) {
      Operands.store(c, destinationAddress(c, true), size, c.r[Cpu.RAX]);
      advance(c, Cpu.RDI, step(c));
    }

    @Override
    int several(Cpu c, int most) {
      if (most == 1 || (c.systemFlags & Cpu.DF) != 0) {
        return 0;
      }
      long to = destinationAddress(c, true);
      int bytes = Math.min(stretch(c, Cpu.RDI, destinationSegment, to), most * size);
      bytes &= -size;
      long host = host(c.writeTlb, to);
      if (bytes == 0 || host == 0) {
        return 0;
      }
      fill(host, bytes, c.r[Cpu.RAX]);
      advance(c, Cpu.RDI, bytes);
      return bytes / size;
    }

    private void fill(long host, int bytes, long value) {
      long one = value & 0xFF;
      long all = one * 0x0101_0101_0101_0101L;
      if (((value ^ all) & Operands.mask(size)) == 0) {
        Raw.fill(host, bytes, (int) one);
        return;
      }
      for (int at = 0; at < bytes; at += size) {
        switch (size) {
          case 2 -> Raw.setShort(host + at, (int) value);
          case 4 -> Raw.setInt(host + at, (int) value);
          default -> Raw.setLong(host + at, value);
        }
      }
    }
  }

  private static final class Lods extends StringOperation {
    Lods(Instruction i, int size) {
      super(i, size);
    }

    @Override
    void element(Cpu c) {
      long value = Operands.load(c, sourceAddress(c), size);
      Operands.set(c, Cpu.RAX, size, value);
      advance(c, Cpu.RSI, step(c));
    }
  }

  private static final class Cmps extends StringOperation {
    Cmps(Instruction i, int size) {
      super(i, size);
    }

    @Override
    void element(Cpu c) {
      long a = Operands.load(c, sourceAddress(c), size);
      long b = Operands.load(c, destinationAddress(c, false), size);
      Arithmetic.subtract(c, a, b, 0, size);
      int step = step(c);
      advance(c, Cpu.RSI, step);
      advance(c, Cpu.RDI, step);
    }

    @Override
    boolean goesOn(Cpu c) {
      return c.zf() == (repeat == 0xF3);
    }
  }

  private static final class Scas extends StringOperation {
    Scas(Instruction i, int size) {
      super(i, size);
    }

    @Override
    void element(Cpu c) {
      long b = Operands.load(c, destinationAddress(c, false), size);
      Arithmetic.subtract(c, Operands.get(c, Cpu.RAX, size), b, 0, size);
      advance(c, Cpu.RDI, step(c));
    }

    @Override
    boolean goesOn(Cpu c) {
      return c.zf() == (repeat == 0xF3);
    }
  }
}
