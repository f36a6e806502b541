package dev.partita.engine.software;

/// Which opcodes have a ModR/M byte and an immediate: Intel SDM volume 2, appendix A ("Opcode
/// Map").
final class OpcodeFormat {
  // One bit an opcode, 32 in a word: whether it has a ModR/M byte.
  private static final int[] ONE_BYTE_MODRM = {
    // 00-1F, 20-3F: x0-x3 and x8-xB
    0x0F0F_0F0F,
    0x0F0F_0F0F,
    // 40-5F: none; 60-7F: 62, 63, 69, 6B
    0,
    1 << 2 | 1 << 3 | 1 << 9 | 1 << 11,
    // 80-8F; A0-BF: none
    0xFFFF,
    0,
    // C0, C1, C4-C7, D0-D3, D8-DF; F6, F7, FE, FF
    0x03 | 0xF0 | 0xF << 16 | 0xFF << 24,
    0xC0 << 16 | 0xC000_0000
  };
  private static final int[] MAP_0F_MODRM = {
    // 00-03, 0D, 0F, 10-1F
    0xF | 1 << 13 | 1 << 15 | 0xFFFF_0000,
    // 20-23, 28-2F; 38, 3A are maps of their own
    0xF | 0xFF00,
    // 40-7F except 77
    -1,
    ~(1 << 23),
    // 90-9F
    0xFFFF_0000,
    // A3-A5, AB-AF, B0-BF
    0x38 | 0xF800 | 0xFFFF_0000,
    // C0-C7; D0-DF
    0xFF | 0xFFFF_0000,
    // E0-FF
    -1
  };

  private OpcodeFormat() {}

  static boolean hasModRm(Instruction i) {
    return switch (i.map) {
      case Instruction.MAP_ONE_BYTE -> bit(ONE_BYTE_MODRM, i.opcode);
      case Instruction.MAP_0F -> bit(MAP_0F_MODRM, i.opcode);
      default -> true;
    };
  }

  private static boolean bit(int[] table, int opcode) {
    return (table[opcode >> 5] & 1 << (opcode & 31)) != 0;
  }

  /// MOV CRn, DRn.
  static boolean registersOnly(Instruction i) {
    return i.map == Instruction.MAP_0F && i.opcode >= 0x20 && i.opcode <= 0x23 && !i.vex;
  }

  /// Bytes of the immediate: 0, 1, 2, 4, 8; 3 for ENTER, 6 for a far pointer (4 or 6 bytes; never
  /// RIP-relative). Needs ModR/M read where the opcode has it.
  static int immediateSize(Instruction i) {
    return switch (i.map) {
      case Instruction.MAP_ONE_BYTE -> oneByteImmediate(i);
      case Instruction.MAP_0F ->
          switch (i.opcode) {
            case 0x70, 0x71, 0x72, 0x73, 0xA4, 0xAC, 0xBA, 0xC2, 0xC4, 0xC5, 0xC6 -> 1;
            case 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87 -> near(i);
            case 0x88, 0x89, 0x8A, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F -> near(i);
            default -> 0;
          };
      case Instruction.MAP_0F38 -> 0;
      default -> 1;
    };
  }

  private static int operand(Instruction i) {
    return i.operandSize == 16 ? 2 : 4;
  }

  /// A near branch displacement: in 64-bit mode 32 bits whatever the operand size (as Intel's do).
  private static int near(Instruction i) {
    return i.codeSize != 64 && i.operandSize == 16 ? 2 : 4;
  }

  private static int oneByteImmediate(Instruction i) {
    int op = i.opcode;
    if (op < 0x40) {
      return switch (op & 7) {
        case 4 -> 1;
        case 5 -> operand(i);
        default -> 0;
      };
    }
    return switch (op) {
      case 0x68, 0x69, 0x81, 0xA9, 0xC7 -> operand(i);
      case 0x6A, 0x6B, 0x80, 0x82, 0x83, 0xA8, 0xC0, 0xC1, 0xC6, 0xCD, 0xD4, 0xD5 -> 1;
      case 0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77 -> 1;
      case 0x78, 0x79, 0x7A, 0x7B, 0x7C, 0x7D, 0x7E, 0x7F -> 1;
      case 0x9A, 0xEA -> 6;
      case 0xA0, 0xA1, 0xA2, 0xA3 -> i.addressSize / 8;
      case 0xB0, 0xB1, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7 -> 1;
      case 0xB8, 0xB9, 0xBA, 0xBB, 0xBC, 0xBD, 0xBE, 0xBF -> i.operandSize == 64 ? 8 : operand(i);
      case 0xC2, 0xCA -> 2;
      case 0xC8 -> 3;
      case 0xE0, 0xE1, 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xEB -> 1;
      case 0xE8, 0xE9 -> near(i);
      case 0xF6 -> (i.reg & 7) < 2 ? 1 : 0;
      case 0xF7 -> (i.reg & 7) < 2 ? operand(i) : 0;
      default -> 0;
    };
  }
}
