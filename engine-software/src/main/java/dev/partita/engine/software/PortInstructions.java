package dev.partita.engine.software;

import dev.partita.hypervisor.Intercept;

/// IN, OUT, INS and OUTS. Intel SDM volume 1, chapter 19 ("Input/Output").
final class PortInstructions {
  /// Elements a repeated instruction moves before it lets interrupts in.
  private static final int ELEMENTS = 1024;

  private PortInstructions() {}

  static int read(Cpu c, int port, int size) {
    Intercept.PortRead intercept = c.portRead.prepare(port, size);
    c.owner.intercept(intercept);
    return intercept.value;
  }

  static void write(Cpu c, int port, int size, int value) {
    int cut = size == 4 ? value : value & (1 << 8 * size) - 1;
    c.owner.portWrite(c.portWrite.prepare(port, size, cut));
  }

  /// IN.
  static final class In extends Operation {
    /// The port, or -1 for DX.
    private final int port;

    private final int size;

    In(int port, int size) {
      this.port = port;
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      int from = port >= 0 ? port : c.get16(Cpu.RDX);
      TaskState.checkPorts(c, from, size);
      int value = read(c, from, size);
      switch (size) {
        case 1 -> c.set8(Cpu.RAX, value);
        case 2 -> c.set16(Cpu.RAX, value);
        default -> c.set32(Cpu.RAX, value);
      }
    }
  }

  /// OUT. The handler may change any general register.
  static final class Out extends Operation {
    private final int port;
    private final int size;

    Out(int port, int size) {
      this.port = port;
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      int to = port >= 0 ? port : c.get16(Cpu.RDX);
      TaskState.checkPorts(c, to, size);
      write(c, to, size, c.get32(Cpu.RAX));
    }

    @Override
    Flow flow() {
      return Flow.END;
    }
  }

  /// INS and OUTS, repeated or not.
  static final class StringTransfer extends Operation {
    private final boolean input;
    private final int size;
    private final boolean repeated;
    private final int segment;
    private final int addressSize;
    private final boolean is64;

    StringTransfer(boolean input, int size, Instruction i) {
      this.input = input;
      this.size = size;
      this.repeated = i.repeatPrefix != 0;
      this.addressSize = i.addressSize;
      this.is64 = i.is64();
      this.segment = input ? (i.is64() ? Cpu.NO_SEGMENT : Cpu.ES) : i.dataSegment(Cpu.DS);
    }

    @Override
    void execute(Cpu c) {
      int port = c.get16(Cpu.RDX);
      TaskState.checkPorts(c, port, size);
      if (!repeated) {
        transfer(c, port);
      } else {
        for (int n = 0; register(c, Cpu.RCX) != 0; n++) {
          if (n == ELEMENTS) {
            // Go on at the same instruction, after a look at what else wants attention.
            c.rip = c.ripMasked(ownRip(c));
            return;
          }
          transfer(c, port);
          advance(c, Cpu.RCX, -1);
        }
      }
      c.rip = c.ripMasked(nextRip(c));
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }

    private void transfer(Cpu c, int port) {
      int index = input ? Cpu.RDI : Cpu.RSI;
      long offset = register(c, index);
      if (!is64) {
        c.checkSegment(segment, offset, size, input);
      }
      long address = offset + c.segmentBase[segment] & (is64 ? -1L : 0xFFFF_FFFFL);
      if (input) {
        // A fault comes before the device is read.
        c.mmu.probeWrite(address, size);
        int value = read(c, port, size);
        switch (size) {
          case 1 -> c.store8(address, value);
          case 2 -> c.store16(address, value);
          default -> c.store32(address, value);
        }
      } else {
        int value =
            switch (size) {
              case 1 -> c.load8(address);
              case 2 -> c.load16(address);
              default -> c.load32(address);
            };
        write(c, port, size, value);
      }
      advance(c, index, size * c.direction());
    }

    private long register(Cpu c, int index) {
      return switch (addressSize) {
        case 16 -> c.r[index] & 0xFFFF;
        case 32 -> c.r[index] & 0xFFFF_FFFFL;
        default -> c.r[index];
      };
    }

    private void advance(Cpu c, int index, int by) {
      long value = c.r[index] + by;
      switch (addressSize) {
        case 16 -> c.set16(index, (int) value);
        case 32 -> c.set32(index, (int) value);
        default -> c.r[index] = value;
      }
    }
  }
}
