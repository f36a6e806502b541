package dev.partita.engine.software;

/// The images of FNSTENV, FLDENV, FNSAVE and FRSTOR: Intel SDM volume 1, figures 8-9 to 8-12. Four
/// environments, by operand size and mode, and after it ten bytes a register.
final class X87Environment {
  private static final int SMALL_SIZE = 14;
  private static final int LARGE_SIZE = 28;
  private static final int REGISTERS_SIZE = 80;

  private X87Environment() {}

  /// FNSTENV, or FNSAVE with the registers. FNSTENV masks all exceptions, FNSAVE initializes.
  static void store(Cpu c, MemoryOperand m, boolean small, boolean registers) {
    var x = c.x87;
    int size = small ? SMALL_SIZE : LARGE_SIZE;
    int all = registers ? size + REGISTERS_SIZE : size;
    long at = m.writeAddress(c, all);
    StateImage.prepareWrite(c, at, all);
    boolean realMode = X87Operation.realAddresses(c);
    int ip = (int) x.instructionPointer;
    int dp = (int) x.dataPointer;
    if (small) {
      store16(c, at, x.control);
      store16(c, at + 2, x.statusWord());
      store16(c, at + 4, x.tagWord());
      store16(c, at + 6, ip);
      store16(c, at + 8, realMode ? ip >>> 4 & 0xF000 | x.opcode : 0);
      store16(c, at + 10, dp);
      store16(c, at + 12, realMode ? dp >>> 4 & 0xF000 : 0);
    } else {
      // The upper halves of the words are written as ones.
      c.store32(at, 0xFFFF_0000 | x.control);
      c.store32(at + 4, 0xFFFF_0000 | x.statusWord());
      c.store32(at + 8, 0xFFFF_0000 | x.tagWord());
      if (realMode) {
        c.store32(at + 12, 0xFFFF_0000 | ip & 0xFFFF);
        c.store32(at + 16, ip >>> 4 & 0x0FFF_F000 | x.opcode);
        c.store32(at + 20, 0xFFFF_0000 | dp & 0xFFFF);
        c.store32(at + 24, dp >>> 4 & 0x0FFF_F000);
      } else {
        c.store32(at + 12, ip);
        c.store32(at + 16, x.opcode << 16);
        c.store32(at + 20, dp);
        c.store32(at + 24, 0xFFFF_0000);
      }
    }
    if (!registers) {
      x.control |= X87.EXCEPTIONS;
      return;
    }
    for (int i = 0; i < 8; i++) {
      c.store64(at + size + 10 * i, x.significand(i));
      store16(c, at + size + 10 * i + 8, x.exponent(i));
    }
    x.initialize();
  }

  private static void store16(Cpu c, long address, int value) {
    c.store16(address, value);
  }

  /// FLDENV, or FRSTOR with the registers.
  static void load(Cpu c, MemoryOperand m, boolean small, boolean registers) {
    var x = c.x87;
    int size = small ? SMALL_SIZE : LARGE_SIZE;
    int all = registers ? size + REGISTERS_SIZE : size;
    long at = m.readAddress(c, all);
    // Whatever can fault comes first.
    c.load8(at);
    c.load8(at + all - 1);
    boolean realMode = X87Operation.realAddresses(c);
    int step = small ? 2 : 4;
    int controlWord = c.load16(at);
    int statusWord = c.load16(at + step);
    int tagWord = c.load16(at + 2 * step);
    long ip;
    long dp;
    int opcode;
    if (small) {
      ip = c.load16(at + 6);
      dp = c.load16(at + 10);
      int word = c.load16(at + 8);
      opcode = realMode ? word & 0x7FF : 0;
      if (realMode) {
        ip |= (word & 0xF000L) << 4;
        dp |= (c.load16(at + 12) & 0xF000L) << 4;
      }
    } else {
      ip = c.load32(at + 12) & 0xFFFF_FFFFL;
      dp = c.load32(at + 20) & 0xFFFF_FFFFL;
      int word = c.load32(at + 16);
      if (realMode) {
        opcode = word & 0x7FF;
        ip = ip & 0xFFFF | (word & 0x0FFF_F000L) << 4;
        dp = dp & 0xFFFF | (c.load32(at + 24) & 0x0FFF_F000L) << 4;
      } else {
        opcode = word >>> 16 & 0x7FF;
      }
    }
    x.setControl(controlWord);
    x.setStatusWord(statusWord);
    x.setTagWord(tagWord);
    x.instructionPointer = ip;
    x.dataPointer = dp;
    x.opcode = opcode;
    if (registers) {
      for (int i = 0; i < 8; i++) {
        int register = x.top + i & 7;
        x.significand[register] = c.load64(at + size + 10 * i);
        x.exponent[register] = c.load16(at + size + 10 * i + 8);
      }
    }
  }
}
