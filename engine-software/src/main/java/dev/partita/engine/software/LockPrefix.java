package dev.partita.engine.software;

/// Where a LOCK prefix is allowed: Intel SDM volume 2, "LOCK". Anywhere else it is an invalid
/// opcode.
final class LockPrefix {
  private LockPrefix() {}

  static boolean allowed(Instruction i) {
    if (!i.hasModRm || i.mod == 3 || i.vex) {
      return false;
    }
    int extension = i.reg & 7;
    if (i.map == Instruction.MAP_ONE_BYTE) {
      return switch (i.opcode) {
        // ADD, OR, ADC, SBB, AND, SUB, XOR to memory
        case 0x00, 0x01, 0x08, 0x09, 0x10, 0x11, 0x18, 0x19 -> true;
        case 0x20, 0x21, 0x28, 0x29, 0x30, 0x31 -> true;
        case 0x80, 0x81, 0x82, 0x83 -> extension != 7;
        case 0x86, 0x87 -> true;
        case 0xF6, 0xF7 -> extension == 2 || extension == 3;
        case 0xFE, 0xFF -> extension < 2;
        default -> false;
      };
    }
    if (i.map == Instruction.MAP_0F) {
      return switch (i.opcode) {
        case 0xAB, 0xB3, 0xBB, 0xB0, 0xB1, 0xC0, 0xC1 -> true;
        case 0xBA -> extension >= 5;
        case 0xC7 -> extension == 1;
        // MOV CR with LOCK is an AMD way to CR8; not here.
        default -> false;
      };
    }
    return false;
  }
}
