package dev.partita.engine.software;

/// One instruction as the decoder read it: prefixes, opcode, ModR/M, displacement, immediate.
/// Filled anew
/// for each instruction; the classes that make operations read it and keep nothing of it.
///
/// Format: Intel SDM volume 2, chapter 2.
final class Instruction {
  /// Opcode maps.
  static final int MAP_ONE_BYTE = 0;

  static final int MAP_0F = 1;
  static final int MAP_0F38 = 2;
  static final int MAP_0F3A = 3;

  /// Code size: 16, 32 or 64.
  int codeSize;

  /// Operand size: 16, 32 or 64, from prefix 66, REX.W and code size. An instruction whose default
  /// is 64
  /// bits in 64-bit mode (near branches, PUSH, POP) looks at {@link #stackOperandSize()} instead.
  int operandSize;

  /// Address size: 16, 32 or 64.
  int addressSize;

  /// Prefix 66 present.
  boolean operandPrefix;

  /// Last of F2, F3 present, or 0.
  int repeatPrefix;

  /// Prefix F0 present.
  boolean lock;

  /// Segment override {@link Cpu#ES}..{@link Cpu#GS}, or -1. In 64-bit mode only FS and GS are
  /// kept.
  int segmentOverride;

  /// The REX prefix, 0x40 to 0x4F, or 0. A VEX prefix puts its R, X, B, W bits here as well.
  int rex;

  /// Whether a VEX prefix was there; then {@link #vexRegister}, {@link #vexLength} are set, {@link
  /// #map} is
  /// its map, and its pp field is given as prefixes ({@link #operandPrefix}, {@link
  /// #repeatPrefix}).
  boolean vex;

  /// VEX.vvvv, 0 to 15, already inverted: 0 where it names no register. Where it does, {@link
  /// #vexRegister()} is that register.
  int vexRegister;

  /// VEX.L: 0 = 128 bits, 1 = 256 bits.
  int vexLength;

  /// One of {@link #MAP_ONE_BYTE} and so on.
  int map;

  /// The opcode byte in its map.
  int opcode;

  boolean hasModRm;

  /// ModR/M.mod.
  int mod;

  /// ModR/M.reg with REX.R: 0 to 15.
  int reg;

  /// ModR/M.rm with REX.B if mod is 3: 0 to 15; else its three bits.
  int rm;

  /// The memory operand, when mod is not 3.
  @org.jspecify.annotations.Nullable MemoryOperand memory;

  /// SIB.index with REX.X, 0 to 15, if there is a SIB byte; else -1. For the instructions that
  /// have a vector register there.
  int sibIndex;

  /// The immediate, sign-extended from its encoded size; for ENTER the second one is {@link
  /// #immediate2}.
  long immediate;

  int immediate2;

  /// Bytes, prefixes included.
  int length;

  boolean is64() {
    return codeSize == 64;
  }

  boolean rexW() {
    return (rex & 8) != 0;
  }

  /// The register in VEX.vvvv: 0 to 15. Outside 64-bit mode there are eight, and its top bit is
  /// ignored.
  int vexRegister() {
    return is64() ? vexRegister : vexRegister & 7;
  }

  boolean isMemory() {
    return mod != 3;
  }

  /// The memory operand of an instruction that must have one.
  MemoryOperand operand() {
    var m = memory;
    if (m == null) {
      throw new IllegalStateException("no memory operand");
    }
    return m;
  }

  /// ModR/M.reg without REX: an opcode extension, 0 to 7.
  int extension() {
    return reg & 7;
  }

  /// {@link #reg} as an 8-bit register number for {@link Cpu#get8}: AH to BH are 16 to 19 without
  /// REX.
  int reg8() {
    return byteRegister(reg);
  }

  int rm8() {
    return byteRegister(rm);
  }

  /// The register in the opcode's low three bits, with REX.B.
  int opcodeRegister() {
    return opcode & 7 | (rex & 1) << 3;
  }

  int opcodeRegister8() {
    return byteRegister(opcodeRegister());
  }

  private int byteRegister(int register) {
    return rex == 0 && register >= 4 && register < 8 ? register + 12 : register;
  }

  /// Operand size of instructions that default to 64 bits in 64-bit mode: 64 or 16 there.
  int stackOperandSize() {
    if (codeSize == 64) {
      return operandPrefix ? 16 : 64;
    }
    return operandSize;
  }

  /// The segment of a string source or of a direct memory offset, as an index for {@link
  /// MemoryOperand}.
  int dataSegment(int otherwise) {
    if (codeSize == 64) {
      return segmentOverride >= 0 ? segmentOverride : Cpu.NO_SEGMENT;
    }
    return segmentOverride >= 0 ? segmentOverride : otherwise;
  }
}
