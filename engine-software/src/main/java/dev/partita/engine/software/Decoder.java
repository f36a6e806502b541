package dev.partita.engine.software;

import java.util.ArrayList;
import org.jspecify.annotations.Nullable;

/// Reads guest code and makes {@link Block}s of it. One for each processor; not thread-safe.
///
/// The decoder itself knows the instruction format (prefixes, ModR/M, which opcodes carry an
/// immediate);
/// what an opcode means is known by the class that makes its operation.
final class Decoder {
  /// Most instructions in a block.
  static final int MAX_INSTRUCTIONS = 64;

  /// Most bytes in an instruction; a longer one is a general-protection fault (SDM volume 2,
  /// 2.3.11).
  private static final int MAX_LENGTH = 15;

  private final Cpu c;
  private final Mmu mmu;
  private final long host;
  private final CodeCache code;
  private final Instruction insn = new Instruction();
  private final ArrayList<Operation> operations = new ArrayList<>();

  // The instruction being read.
  private final byte[] bytes = new byte[MAX_LENGTH];

  /// The bytes of the block being decoded.
  private final byte[] blockBytes = new byte[MAX_INSTRUCTIONS * MAX_LENGTH];

  private int available;
  private int position;
  private long start;
  private long secondPage;

  /// Instructions decoded, for statistics.
  long decoded;

  Decoder(Cpu c, Mmu mmu, long host, CodeCache code) {
    this.c = c;
    this.mmu = mmu;
    this.host = host;
    this.code = code;
  }

  /// Decodes the block at a linear address in the mode in force.
  ///
  /// @param offset of its first byte in RAM
  /// @param single one instruction only
  /// @throws GuestFault when the first instruction cannot be fetched or is invalid
  Block decode(long linear, long offset, boolean single) {
    code.guard(offset, c.owner);
    int mode = c.mode | (single ? Cpu.MODE_SINGLE : 0);
    operations.clear();
    secondPage = -1;
    int at = 0;
    InterruptInstructions.SetInterruptFlag enabling = null;
    int inPage = 4096 - (int) (offset & 0xFFF);
    while (true) {
      if (at == inPage) {
        break;
      }
      Operation op;
      try {
        op = decodeOne(linear + at, offset + at);
      } catch (GuestFault e) {
        if (operations.isEmpty()) {
          throw e;
        }
        // It will be raised when the guest gets there.
        secondPage = -1;
        break;
      }
      if (secondPage >= 0 && !operations.isEmpty()) {
        // An instruction that crosses into the next page gets a block of its own.
        secondPage = -1;
        break;
      }
      if (enabling != null) {
        if (op.flow() == Operation.Flow.BRANCH) {
          break;
        }
        enabling.shadowInBlock = true;
      }
      decoded++;
      System.arraycopy(bytes, 0, blockBytes, at, position);
      op.start = at;
      at += position;
      op.end = at;
      operations.add(op);
      if (enabling != null || single || secondPage >= 0 || operations.size() == MAX_INSTRUCTIONS) {
        break;
      }
      if (op instanceof InterruptInstructions.SetInterruptFlag sti) {
        enabling = sti;
      } else if (op.flow() != Operation.Flow.NEXT) {
        break;
      }
    }
    int instructions = operations.size();
    if (operations.getLast().flow() != Operation.Flow.BRANCH) {
      var advance = new Block.Advance();
      advance.start = at;
      advance.end = at;
      operations.add(advance);
    }
    return new Block(
        operations.toArray(new Operation[0]), instructions, at, offset, mode, secondPage);
  }

  /// Whether the block just decoded still has the bytes it was decoded from: nobody wrote there
  /// meanwhile.
  boolean unchanged(Block block) {
    int inFirst = 4096 - (int) (block.address & 0xFFF);
    for (int i = 0; i < block.length; i++) {
      long at = i < inFirst ? block.address + i : block.secondPage + i - inFirst;
      if (blockBytes[i] != (byte) Raw.getByte(host + at)) {
        return false;
      }
    }
    return true;
  }

  // ---- Fetching
  // -------------------------------------------------------------------------------------

  private void fetch(long linear, long offset) {
    start = linear;
    position = 0;
    available = Math.min(MAX_LENGTH, 4096 - (int) (offset & 0xFFF));
    for (int i = 0; i < available; i++) {
      bytes[i] = (byte) Raw.getByte(host + offset + i);
    }
  }

  private void fetchMore() {
    if (available == MAX_LENGTH) {
      throw c.generalProtection(0);
    }
    long next = start + available;
    if (!c.is64()) {
      next &= 0xFFFF_FFFFL;
    }
    long offset = mmu.fetchOffset(next);
    if (offset < 0) {
      throw c.owner.codeOutsideRam(next);
    }
    code.guard(offset, c.owner);
    secondPage = offset;
    for (int i = available; i < MAX_LENGTH; i++) {
      bytes[i] = (byte) Raw.getByte(host + offset + i - available);
    }
    available = MAX_LENGTH;
  }

  private int next8() {
    if (position == available) {
      fetchMore();
    }
    return bytes[position++] & 0xFF;
  }

  private int peek8() {
    if (position == available) {
      fetchMore();
    }
    return bytes[position] & 0xFF;
  }

  private int next16() {
    int low = next8();
    return low | next8() << 8;
  }

  private int next32() {
    int low = next16();
    return low | next16() << 16;
  }

  private long next64() {
    long low = next32() & 0xFFFF_FFFFL;
    return low | (long) next32() << 32;
  }

  // ---- One instruction
  // ------------------------------------------------------------------------------

  private Operation decodeOne(long linear, long offset) {
    fetch(linear, offset);
    readPrefixes();
    Operation op = null;
    readOperands();
    insn.length = position;
    op = create(insn);
    if (op == null) {
      throw c.invalidOpcode();
    }
    return op;
  }

  /// The operation of an instruction, or null if it is invalid.
  static @Nullable Operation create(Instruction i) {
    if (i.lock && !LockPrefix.allowed(i)) {
      return null;
    }
    Operation op;
    if (i.map == Instruction.MAP_ONE_BYTE
        && !i.vex
        && ((i.opcode & 0xF8) == 0xD8 || i.opcode == 0x9B)) {
      return X87Instructions.create(i);
    }
    op = IntegerInstructions.create(i);
    if (op == null) {
      op = SystemInstructions.create(i);
    }
    if (op == null && i.map != Instruction.MAP_ONE_BYTE) {
      op = VectorInstructions.create(i);
      if (op == null) {
        op = X87Instructions.create(i);
      }
    }
    return op;
  }

  private void readPrefixes() {
    var i = insn;
    i.codeSize =
        switch (c.mode & Cpu.MODE_SIZE_MASK) {
          case Cpu.MODE_64 -> 64;
          case Cpu.MODE_32 -> 32;
          default -> 16;
        };
    boolean is64 = i.codeSize == 64;
    i.operandPrefix = false;
    i.repeatPrefix = 0;
    i.lock = false;
    i.segmentOverride = -1;
    i.rex = 0;
    i.vex = false;
    i.vexRegister = 0;
    i.vexLength = 0;
    i.map = Instruction.MAP_ONE_BYTE;
    boolean addressPrefix = false;
    int b;
    while (true) {
      b = next8();
      switch (b) {
        case 0x66 -> i.operandPrefix = true;
        case 0x67 -> addressPrefix = true;
        case 0xF0 -> i.lock = true;
        case 0xF2, 0xF3 -> i.repeatPrefix = b;
        case 0x26, 0x2E, 0x36, 0x3E -> {
          if (!is64) {
            i.segmentOverride = b >> 3 & 3;
          }
        }
        case 0x64 -> i.segmentOverride = Cpu.FS;
        case 0x65 -> i.segmentOverride = Cpu.GS;
        default -> {
          if (is64 && (b & 0xF0) == 0x40) {
            i.rex = b;
            // Only the last one before the opcode counts, and no legacy prefix may follow it.
            int after = peek8();
            if (isLegacyPrefix(after) || (after & 0xF0) == 0x40) {
              i.rex = 0;
            }
            continue;
          }
          finishOpcode(b, is64, addressPrefix);
          return;
        }
      }
    }
  }

  private static boolean isLegacyPrefix(int b) {
    return switch (b) {
      case 0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65 -> true;
      default -> false;
    };
  }

  private void finishOpcode(int b, boolean is64, boolean addressPrefix) {
    var i = insn;
    if ((b == 0xC4 || b == 0xC5) && (is64 || (peek8() & 0xC0) == 0xC0) && vexAllowed()) {
      readVex(b);
    } else if (b == 0x0F) {
      b = next8();
      if (b == 0x38) {
        i.map = Instruction.MAP_0F38;
        i.opcode = next8();
      } else if (b == 0x3A) {
        i.map = Instruction.MAP_0F3A;
        i.opcode = next8();
      } else {
        i.map = Instruction.MAP_0F;
        i.opcode = b;
      }
    } else {
      i.opcode = b;
    }
    if (i.codeSize == 64) {
      i.operandSize = i.rexW() ? 64 : i.operandPrefix ? 16 : 32;
      i.addressSize = addressPrefix ? 32 : 64;
    } else {
      i.operandSize = (i.codeSize == 32) != i.operandPrefix ? 32 : 16;
      i.addressSize = (i.codeSize == 32) != addressPrefix ? 32 : 16;
    }
    if (i.vex) {
      i.operandSize = i.rexW() && is64 ? 64 : 32;
    }
  }

  /// VEX exists only in protected and long mode, never in real and virtual-8086 mode.
  private boolean vexAllowed() {
    return c.protectedMode() && !c.virtual8086();
  }

  private void readVex(int first) {
    var i = insn;
    if (i.lock || i.operandPrefix || i.repeatPrefix != 0 || i.rex != 0) {
      throw c.invalidOpcode();
    }
    i.vex = true;
    int b = next8();
    int last = b;
    int rex = 0x40 | ((b & 0x80) == 0 ? 4 : 0);
    if (first == 0xC4) {
      last = next8();
      rex |= ((b & 0x40) == 0 ? 2 : 0) | ((b & 0x20) == 0 ? 1 : 0) | ((last & 0x80) != 0 ? 8 : 0);
      i.map = b & 0x1F;
      if (i.map < 1 || i.map > 3) {
        throw c.invalidOpcode();
      }
    } else {
      i.map = Instruction.MAP_0F;
    }
    i.rex = i.codeSize == 64 ? rex : rex & 0x48;
    i.vexRegister = ~(last >> 3) & 15;
    i.vexLength = last >> 2 & 1;
    switch (last & 3) {
      case 1 -> i.operandPrefix = true;
      case 2 -> i.repeatPrefix = 0xF3;
      case 3 -> i.repeatPrefix = 0xF2;
      default -> {}
    }
    i.opcode = next8();
  }

  private void readOperands() {
    var i = insn;
    i.hasModRm = OpcodeFormat.hasModRm(i);
    i.mod = 3;
    i.reg = 0;
    i.rm = 0;
    i.memory = null;
    i.sibIndex = -1;
    i.immediate = 0;
    i.immediate2 = 0;
    int immediate = -1;
    if (i.hasModRm) {
      int modRm = next8();
      i.mod = modRm >> 6;
      i.reg = modRm >> 3 & 7 | (i.rex & 4) << 1;
      i.rm = modRm & 7;
      immediate = OpcodeFormat.immediateSize(i);
      if (OpcodeFormat.registersOnly(i)) {
        // MOV to and from control and debug registers take mod as 3 whatever it says.
        i.mod = 3;
      }
      if (i.mod == 3) {
        i.rm |= (i.rex & 1) << 3;
      } else {
        readMemoryOperand();
      }
    } else {
      immediate = OpcodeFormat.immediateSize(i);
    }
    switch (immediate) {
      case 0 -> {}
      case 1 -> i.immediate = (byte) next8();
      case 2 -> i.immediate = (short) next16();
      case 3 -> {
        // ENTER: 16 bits, then 8.
        i.immediate = next16();
        i.immediate2 = next8();
      }
      case 4 -> i.immediate = next32();
      case 6 -> {
        // A far pointer: offset of the operand's size, then the selector.
        i.immediate = i.operandSize == 16 ? next16() : next32() & 0xFFFF_FFFFL;
        i.immediate2 = next16();
      }
      default -> i.immediate = next64();
    }
  }

  private void readMemoryOperand() {
    var i = insn;
    int base;
    int index = Cpu.ZERO;
    int scale = 0;
    long displacement = 0;
    int segment = Cpu.DS;
    boolean ripRelative = false;
    if (i.addressSize == 16) {
      base =
          switch (i.rm) {
            case 0, 1, 7 -> Cpu.RBX;
            case 2, 3 -> Cpu.RBP;
            case 4 -> Cpu.RSI;
            case 5 -> Cpu.RDI;
            default -> i.mod == 0 ? Cpu.ZERO : Cpu.RBP;
          };
      index =
          switch (i.rm) {
            case 0, 2 -> Cpu.RSI;
            case 1, 3 -> Cpu.RDI;
            default -> Cpu.ZERO;
          };
      if (base == Cpu.RBP) {
        segment = Cpu.SS;
      }
      if (i.mod == 1) {
        displacement = (byte) next8();
      } else if (i.mod == 2 || i.rm == 6 && i.mod == 0) {
        displacement = (short) next16();
      }
    } else {
      if (i.rm == 4) {
        int sib = next8();
        scale = sib >> 6;
        index = sib >> 3 & 7 | (i.rex & 2) << 2;
        i.sibIndex = index;
        if (index == 4) {
          index = Cpu.ZERO;
        }
        base = sib & 7 | (i.rex & 1) << 3;
        if ((base & 7) == 5 && i.mod == 0) {
          base = Cpu.ZERO;
          displacement = next32();
        }
      } else if (i.rm == 5 && i.mod == 0) {
        displacement = next32();
        base = Cpu.ZERO;
        ripRelative = i.codeSize == 64;
      } else {
        base = i.rm | (i.rex & 1) << 3;
      }
      if (base == Cpu.RSP || base == Cpu.RBP) {
        segment = Cpu.SS;
      }
      if (i.mod == 1) {
        displacement = (byte) next8();
      } else if (i.mod == 2) {
        displacement = next32();
      }
    }
    if (ripRelative) {
      // Relative to the end of the instruction: what is still to come is the immediate. RIP_BASE is
      // the
      // block's first byte, which the block's decoder knows as `at`: position counts from this
      // instruction's.
      int immediate = OpcodeFormat.immediateSize(i);
      base = Cpu.RIP_BASE;
      displacement += blockOffset() + position + immediate;
    }
    i.memory =
        new MemoryOperand(
            i.dataSegment(segment), base, index, scale, displacement, i.addressSize, i.is64());
  }

  /// Offset of the instruction being read from the start of its block.
  private int blockOffset() {
    return operations.isEmpty() ? 0 : operations.getLast().end;
  }
}
